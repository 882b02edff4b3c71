"""Only entries that a verified backup holds may go: hour by hour, as many and the same as its restore held.

An entry never changes and none comes in below the last: what was compared may go afterwards. Of the hour at the head of
a stream some may be gone already; all later ones must be as they were, up to the first that is not.
"""

from __future__ import annotations

from upkeep.jobs.backup.marks import Mark
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import NotCoveredError
from upkeep.redis import marking, streams
from upkeep.redis.data_retention.args import Entries
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession


def uncovered(work: Work[RedisSession]) -> str | None:
    """Return why nothing of the stream can be compared with the backup."""
    key, backup = Entries.of(work.action).key, work.backup
    if backup is None or key in work.marks:
        return None
    return f"backup {backup.id} authorises nothing of {key}: it was not proven for that; the next one will be"


def bound(work: Work[RedisSession]) -> tuple[str, str | None]:
    """Return below which id entries may go, and what stays for want of a backup.

    Raises
    ------
    NotCoveredError
        None may go.
    """
    args, backup = Entries.of(work.action), work.backup
    if backup is None:
        return args.cut_off, None
    held, cut_off = work.marks[args.key], EntryId.parse(args.cut_off)
    known = {int(begin): Mark.read(text) for begin, text in held["hours"].items()}
    at = f"{backup.snapshot_at:%Y-%m-%d %H:%M}"
    for number, (begin, found) in enumerate(marking.hours(work.session, args.key, cut_off, work.checkpoint)):
        was = known.get(begin, Mark())
        if found != was and not (number == 0 and found.rows < was.rows and _is_same(work, args.key, held["added"])):
            since = f"{EntryId(begin, 0).moment:%Y-%m-%d %H:%M} UTC"
            text = f"what was added from {since} on stays: it is not what backup {backup.id} of {at} UTC holds"
            if number == 0:
                raise NotCoveredError(text)
            return str(EntryId(begin, 0)), text
    return args.cut_off, None


def _is_same(work: Work[RedisSession], key: str, added: int) -> bool:
    """Return whether it can be the stream that was restored: one made anew has had fewer entries (unknown before 7)."""
    return 0 < added <= int(streams.describe(work.session, key)["added"])
