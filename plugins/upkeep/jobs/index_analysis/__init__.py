"""Index analysis as far as it is alike on all engines: which index stands for which, and which nobody uses."""
