"""Who holds what a change waits for: TiDB's schema changes and row locks wait for open transactions on the table."""

from __future__ import annotations

from typing import Final

import pymysql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Work
from upkeep.model import Json, Outcome, ReasonCode
from upkeep.tidb import server, sql
from upkeep.tidb.session import Row, TiDBSession

_UNSEEN: Final = "; who holds it cannot be seen: grant process on *.* to our user"


def named(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    """Return the outcome with who holds the tables of the action, when it ended for a lock that was not obtained."""
    opened = work.session
    if outcome.reason_code is not ReasonCode.LOCK_NOT_OBTAINED or opened.closed or opened.cancelled:
        return outcome
    try:
        found = _holders(opened, work.action.args)
    except (pymysql.MySQLError, UpkeepError, OSError):
        found = None
    if found is None:
        return outcome.model_copy(update={"message": f"{outcome.message}{_UNSEEN}"})
    if not found:
        return outcome
    text = ", ".join(map(_said, found))
    evidence = {**outcome.evidence, "holders": [{**row, "since": str(row["since"])} for row in found]}
    return outcome.model_copy(update={"message": f"{outcome.message}; held by {text}", "evidence": evidence})


def _holders(session: TiDBSession, args: Json) -> list[Row] | None:
    """Return the transactions; ``None`` when those of others cannot be seen."""
    if not server.sees_others(session):
        return None
    parts = (args.get("table") or {}, args.get("archive") or {})
    known = (args.get("oid"), args.get("parent_oid"), *(part.get("id") for part in parts))
    ids = {int(one) for one in known if one is not None}
    touches = [sql.fill("find_in_set(%(id)s, x.related_table_ids)", {"id": one}) for one in sorted(ids)]
    return session.rows("lock_holders", touches=sql.joined(" or ", touches)) if touches else []


def _said(row: Row) -> str:
    who = f"{row['user']}@{row['host'] or '?'}"
    return f"connection {row['connection']} ({who}, in a transaction since {row['since']} UTC)"
