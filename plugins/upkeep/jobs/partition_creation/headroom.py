"""How long the partitions of a table last: the time when the first row comes for which there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from upkeep.jobs.partition_creation.axis import Axis
from upkeep.jobs.partition_creation.layout import Layout, Span, reach
from upkeep.model import Json

CHECK: Final = "partition_headroom"


def headroom(known: Iterable[tuple[str, Axis, Layout, Iterable[Span]]]) -> Json:
    """Return until when there are partitions: check → table → ``until``; of several levels the first to end counts.

    Left out are ids, of which the clock says nothing, and what lasts as long as the calendar.
    """
    ends: dict[str, datetime] = {}
    for subject, axis, layout, spans in known:
        if axis.is_id:
            continue
        try:
            end = axis.instant(reach(layout.current, spans))
        except OverflowError:
            continue
        ends[subject] = min(end, ends.get(subject, end))
    return {CHECK: {subject: {"until": end.isoformat()} for subject, end in ends.items()}} if ends else {}
