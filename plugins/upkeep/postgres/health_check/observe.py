"""Measuring: each check alone, each statement at most a second, none of them waiting for a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg

from upkeep.jobs import checks, health_check
from upkeep.jobs.checks import Looked, Seen
from upkeep.jobs.contract import Ask
from upkeep.model import Observation
from upkeep.postgres import faults, names
from upkeep.postgres.health_check import headroom
from upkeep.postgres.session import PostgresSession, Row

_ELSEWHERE: Final = {
    "disk_used": "the server does not tell how full its disk is",
    "slow_operations": "the server counts no calls that took long (pg_stat_statements holds means)",
}
"""Checks that no statement answers: nobody needs to mind."""
_OF_OTHERS: Final = frozenset(
    {"connections_used", "replica_state", "replication_lag", "xmin_horizon", "session_blocked", "transaction_long"}
    | {"session_idle_in_transaction"}
)
"""Checks that look at sessions of other users, which are there but empty for who may not see them."""
_FORGOTTEN: Final = timedelta(days=3).total_seconds()
"""A replica that is gone for so long was taken out of service."""
_TOO_FEW: Final = 10_000
"""So few blocks between two looks say nothing of the cache."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at one check.

    Attributes
    ----------
    at
        The server's clock, in seconds.
    """

    ask: Ask[PostgresSession]
    check: str
    at: float

    def rows(self) -> list[Row]:
        return self.ask.session.rows(f"health_check/{self.check}")

    def before(self) -> Mapping[str, Any]:
        """Return what the last look that could see it has seen: subject → evidence."""
        looks = (look["measured"][self.check] for look in self.ask.memory.looks if self.check in look["measured"])
        return next(looks, {})


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Measure what the owner wants to be measured."""
    (about,) = ask.session.rows("health_check/limits")
    role = names.quote(ask.server.role)
    seen: list[Seen] = []
    looked: list[Looked] = []
    for name in health_check.measured(ask.target):
        if name in _ELSEWHERE:
            looked.append(Looked(check=name, why=_ELSEWHERE[name], minds=False))
        elif name in _OF_OTHERS and not about["sees_all"]:
            looked.append(Looked(check=name, why=f"others' sessions are hidden: grant pg_read_all_stats to {role}"))
        else:
            rows, look = _measure(_Look(ask, name, about["at"]))
            seen += rows
            looked.append(look)
    return health_check.answer(ask, seen, looked)


def _measure(look: _Look) -> tuple[Sequence[Seen], Looked]:
    try:
        return [*_MEASURES.get(look.check, _plain)(look)], Looked(check=look.check)
    except psycopg.errors.InsufficientPrivilege as error:
        role = names.quote(look.ask.server.role)
        return (), Looked(check=look.check, why=f"{faults.describe(error)}: grant it to {role}")
    except psycopg.Error as error:
        if look.ask.session.connection.closed:
            raise
        return (), Looked(check=look.check, why=faults.describe(error), failed=True)


def _plain(look: _Look) -> Iterator[Seen]:
    yield from (checks.of_row(look.check, row) for row in look.rows())


def _standing(look: _Look) -> Iterator[Seen]:
    """Yield the rows; what is held without a time of its own stands since the first look that saw it so."""
    before = look.before()
    for row in look.rows():
        held = row["held"]
        if held is None:
            yield checks.of_row(look.check, row)
            continue
        then = before.get(row["subject"], {})
        since = then["since"] if then.get("held") == held else look.at
        value = max(row["value"] or 0.0, look.at - since)
        yield checks.of_row(look.check, {**row, "since": since, "value": value})


def _replicas(look: _Look) -> Iterator[Seen]:
    """Yield the replicas, and those that the look before has seen and this one does not."""
    rows = look.rows()
    yield from (checks.of_row(look.check, row) for row in rows)
    for subject, then in look.before().items():
        gone = then.get("gone_at", look.at)
        if "state" in then and subject not in {row["subject"] for row in rows} and look.at - gone < _FORGOTTEN:
            yield Seen(check=look.check, subject=subject, state="vanished", evidence={"gone_at": gone})


def _cache(look: _Look) -> Iterator[Seen]:
    """Yield the share of blocks found in memory since the look before."""
    (row,) = look.rows()
    now = {"hits": row["hits"], "reads": row["reads"], "at": look.at}
    grown = checks.difference(look.ask.memory.looks, look.check, now)
    blocks = grown["hits"] + grown["reads"] if grown else 0
    share = 100 * grown["hits"] / blocks if grown and blocks >= _TOO_FEW else None
    why = {} if share is not None else {"why": "too few blocks since the look before"}
    yield Seen(check=look.check, value=share, evidence={**now, **why})


_MEASURES: Final[Mapping[str, Callable[[_Look], Iterator[Seen]]]] = {
    "replication_lag": _standing,
    "xmin_horizon": _standing,
    "wal_retained": _standing,
    "replica_state": _replicas,
    "cache_hit": _cache,
    "partition_headroom": lambda look: headroom.ahead(look.ask),
    "default_rows": lambda look: headroom.defaults(look.ask),
}
