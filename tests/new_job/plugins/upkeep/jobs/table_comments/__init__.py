"""Comments of tables: what is alike on all engines."""
