"""Upkeep keeps databases healthy: it decides, does and proves their nightly maintenance."""

__version__ = "0.1.0"
