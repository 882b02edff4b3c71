"""How much would go: estimates for the limits. Pure."""

from __future__ import annotations

from upkeep.postgres.data_retention.view import Piece
from upkeep.postgres.data_retention.view import TableView as View


def row_estimate(view: View, piece: Piece) -> int | None:
    """Return about how many rows a partition holds; ``None`` when nobody knows."""
    known = [leaf.due if leaf.rows is None else leaf.rows for leaf in view.leaves_below(piece.partition.oid)]
    if not known or any(n is None for n in known):
        return None
    return round(sum(n or 0 for n in known))


def table_rows(view: View) -> int:
    """Return about how many rows the whole table holds."""
    if view.leaves:
        return round(sum(leaf.rows or leaf.due or 0 for leaf in view.leaves))
    return round(sum(max(p.partition.rows, 0) for p in view.pieces))
