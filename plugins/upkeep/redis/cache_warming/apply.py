"""Warming one entry: all rows are read, then keys are set in small steps, then some are proven by reading again."""

from __future__ import annotations

from typing import Final

from upkeep.fleet.policies.warm import WarmEntry, WarmPolicy
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import OverloadedError, RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Json, Outcome, digest
from upkeep.redis import faults
from upkeep.redis.cache_warming import memory
from upkeep.redis.cache_warming.args import Warm
from upkeep.redis.cache_warming.rows import Rows, key_of, value_of
from upkeep.redis.cache_warming.store import STEP, STEP_BYTES, Store, steps
from upkeep.redis.session import RedisSession

READ_ROWS: Final = 2_000
READ_SECONDS: Final = 300.0
"""Reading an entry's rows takes no longer: they are wanted again in a quarter of an hour."""
PORTION: Final = 1_000
PORTION_BYTES: Final = 2**20
"""Between two portions the run can be stopped, and the server's memory is looked at."""
SAMPLE: Final = 100
"""So many keys, evenly spread, are compared with their rows read again."""


def apply(work: Work[RedisSession]) -> Outcome:
    """Set the keys of one entry; nothing is set before all of its rows are read."""
    args = Warm.of(work.action)
    store = Store(work.session, args.entry, args.seconds)
    evidence: Json = {}

    def warm(done: DoneSoFar) -> None:
        try:
            _warm(work, args, store, evidence)
        finally:
            done.rows = store.made + store.removed
            done.evidence = {**evidence, **_counts(store)}

    return outcomes.carry_out(work.action, warm, faults.classify, note=work.note)


def undo(work: Work[RedisSession], _: Outcome) -> Outcome:
    """Remove the keys of the entry that still hold what was set."""
    store = Store(work.session, Warm.of(work.action).entry, 0)

    def remove(done: DoneSoFar) -> None:
        try:
            for removed in store.clear():
                work.checkpoint("keys removed", rows=removed)
            store.close(0)
        finally:
            done.rows = store.removed

    return outcomes.carry_out(work.action, remove, faults.classify, note=work.note)


def _counts(store: Store) -> Json:
    return {
        "keys_set": store.made,
        "keys_unchanged": store.same,
        "keys_prolonged": store.prolonged,
        "keys_removed": store.removed,
        "keys_of_others": len(store.foreign),
    }


def _warm(work: Work[RedisSession], args: Warm, store: Store, evidence: Json) -> None:
    entry, query = _today(work, args)
    rows = _read(work, entry, query)
    evidence |= {"rows_read": len(rows.found) + rows.left_out, "rows_left_out": rows.left_out, "bytes": rows.bytes}
    _, held = store.held()
    before = memory.seen(work.session)
    refused = memory.refusal(before, max(rows.bytes - held, 0))
    if refused is not None:
        raise (OverloadedError if before["limit"] else RefusedError)(f"{refused}; nothing was set")
    _put(work, rows, store, before)
    for removed in store.clear(but=rows.found):
        work.checkpoint("keys of rows that are gone removed", rows=removed)
    store.close(rows.bytes)
    evidence |= _proof(work, entry, query, rows, store)


def _today(work: Work[RedisSession], args: Warm) -> tuple[WarmEntry, str]:
    policy = WarmPolicy.of(work.target)
    entry = policy.entries.get(args.entry) if policy is not None else None
    if entry is None:
        raise StateChangedError("the fleet file names this entry no longer; nothing was changed")
    try:
        query = entry.statement()
    except (OSError, ValueError) as error:
        raise StateChangedError(f"{entry.query} cannot be read ({type(error).__name__}); nothing was changed") from None
    if digest(query) != args.query or entry.key != args.key:
        raise StateChangedError("the query is another one than was planned for; the next run plans anew")
    return entry, query


def _read(work: Work[RedisSession], entry: WarmEntry, query: str) -> Rows:
    rows = Rows(entry)
    with work.open(entry.from_) as reader:
        for batch in reader.rows(query, size=READ_ROWS, seconds=READ_SECONDS):
            rows.take(batch)
            work.checkpoint(f"{len(rows.found):,} rows read from {entry.from_}")
    rows.refuse_unseen()
    return rows


def _put(work: Work[RedisSession], rows: Rows, store: Store, before: Json) -> None:
    placed, share = 0, rows.bytes / max(len(rows.found), 1)
    for portion in steps([*rows.found.items()], PORTION, PORTION_BYTES):
        work.checkpoint(f"{placed:,} of {len(rows.found):,} keys in place", rows=len(portion))
        memory.watch(work.session, before)
        for some in steps(portion, STEP, STEP_BYTES):
            placed += len(some)
            store.put(some, round(placed * share))
    memory.watch(work.session, before)


def _proof(work: Work[RedisSession], entry: WarmEntry, query: str, rows: Rows, store: Store) -> Json:
    """Return how many of some keys equal their rows, read once more; rows may have changed or gone meanwhile."""
    ours = [key for key in rows.found if key not in store.foreign]
    sample = {*ours[:: max(len(ours) // SAMPLE, 1)][:SAMPLE]}
    found: Json = {"sampled": len(sample), "equal": 0, "changed_since": 0, "unequal": 0}
    make, missing = key_of(entry.key), set(sample)
    if missing:
        with work.open(entry.from_) as reader:
            for batch in reader.rows(query, size=READ_ROWS, seconds=READ_SECONDS):
                work.checkpoint()
                for row in batch:
                    key = make(row)
                    if key is None or key not in missing:
                        continue
                    missing.discard(key)
                    value = value_of(row, entry.value)
                    if store.value(key) == value:
                        found["equal"] += 1
                    elif value != rows.found[key]:
                        found["changed_since"] += 1
                    else:
                        found["unequal"] += 1
                if not missing:
                    break
    found["changed_since"] += len(missing)  # their rows are gone
    return found
