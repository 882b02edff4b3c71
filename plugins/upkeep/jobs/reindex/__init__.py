"""What reindexing is asked for; what it does is the engine's."""
