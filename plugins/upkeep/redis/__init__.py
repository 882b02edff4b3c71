"""The Redis room: the only place that imports its driver."""
