"""Range partitions on an axis of time or numbers: what is alike on all engines that have them."""
