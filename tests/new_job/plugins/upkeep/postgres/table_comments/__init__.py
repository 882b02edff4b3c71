"""Comments of tables on PostgreSQL: each says what is declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import sql

from upkeep.fleet import Target
from upkeep.fleet.policies.comments import CommentsPolicy
from upkeep.jobs.contract import Ask, Job, Work
from upkeep.jobs.frames import outcome_row
from upkeep.jobs.table_comments.request import CommentsRequest
from upkeep.model import Action, Finding, Observation, Outcome, OutcomeStatus, Plan, Severity
from upkeep.postgres.session import PostgresSession


class _Frames:
    @staticmethod
    def before(observation: Observation, _target: Target) -> Mapping[str, list[dict[str, Any]]]:
        """Return the server: it must take changes."""
        return {"server": [{"subject": "server", "is_replica": observation.server.replica}]}

    @staticmethod
    def after(
        _observation: Observation, _target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return how the actions ended."""
        actions = {action.id: action for action in plan.actions} if plan is not None else {}
        return {"outcomes": [outcome_row(actions.get(o.action_id), o) for o in outcomes]}


def _observe(ask: Ask[PostgresSession]) -> Observation:
    policy = CommentsPolicy.of(ask.target)
    wanted = list(policy.tables) if policy is not None else []
    return ask.answer({"tables": ask.session.rows("table_comments/tables", {"names": wanted})})


def _plan(observation: Observation, target: Target, request: CommentsRequest) -> Plan:
    policy = CommentsPolicy.of(target)
    known = {row["subject"]: row["comment"] for row in observation.frames["tables"]}
    actions, found = [], []
    for name, text in (policy.tables if policy is not None else {}).items():
        wanted = text.upper() if request.shout else text
        if name not in known:
            found.append(Finding.of("missing", name, Severity.ERROR, "there is no such table", "create it"))
        elif known[name] != wanted and request.only in (None, name):
            found.append(Finding.of("comment", name, Severity.WARNING, "its comment differs", "run this job"))
            actions.append(_action(name, known[name], wanted))
    return Plan.make(observation, actions, found)


def _action(name: str, was: str | None, wanted: str) -> Action:
    return Action.make(
        kind="comment_table",
        subject=name,
        args={"was": was, "comment": wanted},
        statements=(f"comment on table {name} is '{wanted}'",),
        reason="its comment is not as declared",
        destructive=False,
        precondition="the table is there",
        undo="the comment that it had",
    )


def _say(work: Work[PostgresSession], comment: str | None) -> Outcome:
    work.checkpoint(f"comment of {work.action.subject}")
    schema, _, table = work.action.subject.partition(".")
    parts = {"table": sql.Identifier(schema, table), "comment": sql.Literal(comment)}
    work.session.execute(work.session.statement("table_comments/comment", **parts))
    return Outcome(action_id=work.action.id, status=OutcomeStatus.DONE)


def _conclude(before: Observation, after: Observation, _plan: Plan, outcomes: Sequence[Outcome]) -> Sequence[Finding]:
    was, is_ = ({r["subject"]: r["comment"] for r in seen.frames["tables"]} for seen in (before, after))
    changed = sum(is_[name] != comment for name, comment in was.items() if name in is_)
    said = {"written": len(outcomes), "changed": changed}
    return [Finding.of("comments_written", "server", Severity.INFO, f"{changed} comments changed", evidence=said)]


JOB: Final[Job[PostgresSession]] = Job(
    observe=_observe,
    decide=_plan,
    gates=_Frames(),
    apply=lambda work: _say(work, work.action.args["comment"]),
    conclude=_conclude,
    undo=lambda work, _outcome: _say(work, work.action.args["was"]),
)
