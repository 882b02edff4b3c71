"""The PostgreSQL room: the only place that knows its catalog, its locks and its driver."""
