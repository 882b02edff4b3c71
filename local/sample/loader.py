def load(*, reset: bool) -> None:
    """Load."""
