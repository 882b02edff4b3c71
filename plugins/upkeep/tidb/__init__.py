"""The TiDB room: the only place that imports its driver."""
