"""Calendar months around the time of loading, in UTC, and the partitions the sample fleet begins with."""

from dataclasses import dataclass
from datetime import UTC, datetime

MONTHS_IN_YEAR = 12


def month(now: datetime, offset: int) -> datetime:
    """Return the first instant of the month ``offset`` months from that of ``now``, in UTC.

    >>> month(datetime(2026, 1, 31, tzinfo=UTC), -1)
    datetime.datetime(2025, 12, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    local = now.astimezone(UTC)
    number = local.year * MONTHS_IN_YEAR + local.month - 1 + offset
    return datetime(number // MONTHS_IN_YEAR, number % MONTHS_IN_YEAR + 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Layout:
    """The monthly partitions that a table begins with.

    Parameters
    ----------
    table
        Its name, as it is (not quoted).
    months
        Offsets from the current month. What is missing between them is a deliberate gap; months ahead are missing
        everywhere, since creating them is the first thing to see.
    default
        Whether there is a default partition.
    """

    table: str
    months: tuple[int, ...]
    default: bool = False

    def partition_name(self, start: datetime) -> str:
        """Return the name of the partition of one month, within PostgreSQL's 63 bytes."""
        return f"{self.table[:50]}_{start:%Y_%m}"


AUDIT = "Audit Log; drop table x\"--'"
LOGS_GAP = -3  # no partition and no rows
REFERENCED_LOGS = -4  # its rows are pointed at by a foreign key

LAYOUTS = (
    # An empty month far back makes the months between it and the next a gap; their rows are in the default partition.
    Layout("pipeline_metrics", (-7, -4, -3, -2, -1, 0), default=True),
    Layout("pipeline_metrics_archive", (-6, -5, -4, -3, -2, -1, 0), default=True),
    Layout("pipeline_logs", (-4, -2, -1, 0)),
    Layout("pipeline_progress", (-4, -3, -1, 0), default=True),
    Layout(AUDIT, (-1, 0)),
)
