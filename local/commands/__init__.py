"""One module per command of ``python -m local``; each has a ``main(arguments) -> int``."""
