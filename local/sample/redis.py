"""Streams in Redis, filled from the same measured series: notifications that were sent, and some that wait; sessions.

``alerts:notifications`` has been read and acknowledged to its end; of ``alerts:escalations`` a consumer group has read
the older half only, so that what it still needs stays although it is due. A marker, written last, says that all is
there; what an interrupted load left is made again. Nothing is added to a loaded sample.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis

from local.sample.mongo import placed
from local.sample.series import SERIES
from local.stack.state import State

MARKER = "sample:loaded"
NOTIFICATIONS, ESCALATIONS = "alerts:notifications", "alerts:escalations"
EVERY = 24  # of every other point: some 1,600 notifications
ESCALATED = 10  # of those
BATCH = 500
SESSIONS = 200  # one of them never expires


def load(*, reset: bool = False) -> bool:
    """Load the stack's sample streams where there are none; see `load_into`."""
    known = State.load()
    uri = f"redis://127.0.0.1:{known.ports['redis']}/0"
    return load_into(uri, password=known.secrets["redis"], reset=reset)


def load_into(uri: str, *, password: str | None = None, reset: bool = False) -> bool:
    """Load the sample into the database at ``uri``.

    Parameters
    ----------
    reset
        Drop what is there and load afresh.

    Returns
    -------
    bool
        Whether anything was loaded.
    """
    client: Any
    with redis.Redis.from_url(uri, password=password, decode_responses=True) as client:
        if not reset and client.exists(MARKER):
            return False
        client.delete(MARKER, NOTIFICATIONS, ESCALATIONS, *client.scan_iter(match="session:*"))
        entries = sorted(notifications(datetime.now(UTC)))
        _add(client, NOTIFICATIONS, entries)
        _add(client, ESCALATIONS, entries[::ESCALATED])
        _read(client, NOTIFICATIONS, "delivery", len(entries))
        _read(client, ESCALATIONS, "on-call", len(entries[::ESCALATED]) // 2)
        for number in range(SESSIONS):
            client.set(f"session:{number}", "", ex=None if number == 0 else 86_400 - number)
        client.set(MARKER, datetime.now(UTC).isoformat())
        return True


def notifications(now: datetime) -> Iterator[tuple[int, str, str, str]]:
    """Give time (milliseconds since 1970), node, metric and value of what somebody was told of."""
    for one in SERIES:
        for number, (at, value) in enumerate(placed(one, now)):
            if number % EVERY == 0:
                yield int(at.timestamp() * 1000), one.node_id, one.metric_name, str(value)


def _add(client: Any, name: str, entries: list[tuple[int, str, str, str]]) -> None:
    """Add entries under ids of their time; those of one millisecond are numbered."""
    last, number = 0, 0
    with client.pipeline(transaction=False) as pipe:
        for at, node, metric, value in entries:
            number = number + 1 if at == last else 0
            last = at
            pipe.xadd(name, {"asset_id": node, "metric_name": metric, "value": value}, id=f"{at}-{number}")
        pipe.execute()


def _read(client: Any, name: str, group: str, count: int) -> None:
    """Have a group read and acknowledge so many entries."""
    client.xgroup_create(name, group, id="0")
    while count > 0:
        for _, entries in client.xreadgroup(group, "worker-1", {name: ">"}, count=min(count, BATCH)):
            client.xack(name, group, *[entry[0] for entry in entries])
            count -= len(entries)
