"""The MongoDB room: the only place that imports its driver."""
