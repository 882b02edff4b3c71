"""Retention: what is alike on all engines: cut-offs, markers, the pace of batches."""

from typing import Final

NAME: Final = "data_retention"
