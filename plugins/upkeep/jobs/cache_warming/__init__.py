"""Cache warming: what is asked of a run."""
