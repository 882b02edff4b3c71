"""The lives of findings, and what was looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from upkeep.errors import ConfigurationError
from upkeep.ledger import codec, schema
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.ledger.records import OpenIssue
from upkeep.model import Issue, IssueEvent, Json, Transition


class Issues(Part):
    """The part of the ledger that knows since when something is wrong, and until when a person lets it be."""

    def open_issues(self, target: str, job: str) -> list[Issue]:
        """Return what is open of a target and job, the oldest first."""
        return list(self.known_issues(target, job, ())[0].values())

    def known_issues(self, target: str, job: str, fingerprints: Collection[str]) -> tuple[dict[str, Issue], datetime]:
        """Return what is open of a target and job, or was and has one of the fingerprints; and the present moment."""
        rows = self._fetch("known_issues", target=target, job=job, fingerprints=list(fingerprints))
        now: datetime = rows[0]["now"]
        return {row["fingerprint"]: issue_of(row) for row in rows if row["fingerprint"] is not None}, now

    @contextmanager
    def lives(
        self, target: str, job: str, fingerprints: Collection[str]
    ) -> Iterator[tuple[dict[str, Issue], datetime]]:
        """Give what `known_issues` returns, which nobody else changes until the end; then it is committed."""
        with self._control.transaction():
            self._control.write("issue_lock", target=target, job=job)
            yield self.known_issues(target, job, fingerprints)

    def change_issues(self, transitions: Sequence[Transition]) -> None:
        """Write what happened to findings; of several that are about the same one the last says where it stands."""
        if transitions:
            self._write("change_issues", changes=codec.jsonb([_body(t) for t in transitions]))

    def record_look(
        self,
        run_id: str,
        target: str,
        job: str,
        *,
        at: datetime,
        status: str,
        seen: Collection[str],
        unseen: Collection[str],
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what a run looked at: by this it is known when an open finding was last seen.

        Parameters
        ----------
        seen, unseen
            Names of checks that looked, or could not; in ``unseen`` also the fingerprint of a finding that nobody
            could look at, or `upkeep.run.findings.EVERYTHING`.
        values
            What was measured, by check: a history.
        """
        self._write(
            "record_look",
            run_id=run_id,
            target=target,
            job=job,
            at=at,
            status=status,
            seen=sorted(seen),
            unseen=sorted(unseen),
            measured=codec.jsonb(dict(values or {})),
        )

    def last_look(self, target: str, job: str) -> str | None:
        """Return how a target was when it was looked at last, or ``None`` when it never was."""
        rows = self._fetch("last_look", target=target, job=job)
        return str(rows[0]["status"]) if rows else None

    def issues(self, targets: Sequence[str] = (), *, everything: bool = False) -> list[OpenIssue]:
        """Return open findings, the gravest first, then the oldest.

        Parameters
        ----------
        targets
            Only of these; none: of all.
        everything
            Also those that ended in the last 30 days.
        """
        rows = self._fetch("list_issues", targets=list(targets), everything=everything)
        return [_listed(row) for row in rows]

    def looks(self, targets: Sequence[str] = ()) -> list[Row]:
        """Return when each target was last looked at by which job, of the last two days: rows of target, job, at."""
        return self._fetch("last_looks", targets=list(targets))

    def tend_daily(self, run_id: str) -> bool:
        """Make partitions ahead and thin old looks out, where this is the first run of its job today (UTC).

        An Airflow that nobody sends commands beside would else have nowhere to record after three months.
        Returns whether it was.
        """
        (today,) = self._fetch("first_of_day", run_id=run_id)
        if today["first"] and today["owner"]:
            schema.tend(self._control)
        elif today["first"]:
            self._write("thin_looks")
        return bool(today["first"])

    def find_issue(self, prefix: str) -> Issue:
        """Return a finding by its fingerprint or a unique beginning of it.

        Raises
        ------
        ConfigurationError
            There is none, or there are several that begin so.
        """
        found = self._fetch("find_issues", prefix=prefix) if prefix else []
        if not found:
            raise ConfigurationError(f"no finding '{prefix}' in the ledger; `upkeep findings` lists them")
        if len(found) > 1 and found[0]["fingerprint"] != prefix:
            several = ", ".join(row["fingerprint"] for row in found)
            raise ConfigurationError(f"several findings begin with '{prefix}' ({several} …); write more of it")
        return issue_of(found[0])

    def acknowledge(self, fingerprint: str, *, until: datetime, actor: str, why: str) -> Issue:
        """Let an open finding stand until then: it is told, and makes no run fail.

        Raises
        ------
        ConfigurationError
            It is unknown, or gone; or ``until`` is not ahead, or nobody says why.
        """
        if not why.strip():
            raise ConfigurationError("say why it may stand: --why TEXT")
        about = self.find_issue(fingerprint)
        with self.lives(about.target, about.job, [about.fingerprint]) as (known, now):
            issue = known[about.fingerprint]
            if not issue.open:
                raise ConfigurationError(
                    f"{issue.check} of {issue.subject} on '{issue.target}' is gone since "
                    f"{issue.gone_at:%Y-%m-%d %H:%M} UTC: there is nothing to acknowledge"
                )
            if until <= now:
                raise ConfigurationError(f"{until.isoformat()} is past: an acknowledgement ends in the future")
            said = {"acknowledged_by": codec.text(actor), "acknowledged_why": codec.text(why)}
            issue = issue.model_copy(update={"acknowledged_until": until, **said})
            self.change_issues([Transition(event=IssueEvent.ACKNOWLEDGED, issue=issue, at=now)])
        return issue


def issue_of(row: Row) -> Issue:
    """Return a row as the value."""
    known = {name: row[name] for name in Issue.model_fields if name in row}
    return Issue.model_validate({**known, "check": row["check_name"]})


def _listed(row: Row) -> OpenIssue:
    issue = issue_of(row)
    said = row["said"] or {}
    told = {key: said[key] for key in ("summary", "remedy", "evidence") if key in said}
    return OpenIssue(issue.model_copy(update=told), row["last_seen"], acknowledged=issue.acknowledged(row["now"]))


def _body(transition: Transition) -> Json:
    issue = transition.issue.model_dump()
    issue["check_name"] = issue.pop("check")
    return {"event": transition.event, "run_id": transition.run_id, "at": transition.at, "issue": issue}
