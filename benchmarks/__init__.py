"""Benchmarks, run by hand (`make bench`): each compares Upkeep with a peer or a physical limit in one run."""
