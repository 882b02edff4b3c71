"""The one exception of this package."""


class LocalError(RuntimeError):
    """Something on this machine is in the way; the message says what, and what to do about it."""
