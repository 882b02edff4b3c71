"""Which range partitions should exist: moved to `upkeep.partitioning.layout`, alike on all engines."""

from upkeep.partitioning.layout import Layout, Span, Wish, layout

__all__ = ["Layout", "Span", "Wish", "layout"]
