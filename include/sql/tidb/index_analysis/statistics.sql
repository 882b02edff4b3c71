-- Which tables have statistics: without, the use of their indexes is not counted.
show stats_meta -- noqa: PRS
