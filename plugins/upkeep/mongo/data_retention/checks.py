"""Why a collection's documents may not be deleted or archived, each with the exact remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.model import FindingStatus
from upkeep.mongo import expiry
from upkeep.mongo.data_retention import age_facts
from upkeep.mongo.data_retention.view import SMALL_ROWS, View, expiring

PRIVILEGES: Final = "privileges"
GRANT: Final = "grant our user readWrite on this database (and dbAdmin for collMod)"


def refusals(view: View) -> list[Refusal]:
    """Return why nothing of the collection may go; empty when it may."""
    if view.row is None:
        return []
    found = list(_shape(view))
    if found:
        return found
    found = list(_series(view)) if view.is_series else [*_index(view), *_expiring(view)]
    found += _times(view)
    if view.archives:
        found += _archive(view)
    missing = view.facts.get("missing_privileges") or []
    if missing:
        text = f"our user may not {', '.join(missing)}"
        found.append(Refusal(PRIVILEGES, text, GRANT, status=status_of(view)))
    return found


def status_of(view: View) -> FindingStatus:
    """Return what missing rights leave: what may not be read was not looked at, wherever nothing is changed too."""
    missing = view.facts.get("missing_privileges") or []
    return FindingStatus.NOT_AVAILABLE if any(m.startswith("find ") for m in missing) else FindingStatus.FINDING


def _shape(view: View) -> Iterator[Refusal]:
    row = view.row or {}
    if view.server["topology"] == "sharded":
        text = "this is a router of a sharded cluster: lag, transactions and expiry are each shard's own"
        yield Refusal("topology", text, "give each shard's replica set as a target")
    if row["kind"] == "view":
        yield Refusal("kind", "it is a view: nothing is stored in it", "name the collection that it reads")
    elif row["capped"]:
        text = "it is capped: the server removes the oldest by itself, and transactions may not write to it"
        yield Refusal("kind", text, "take retain out, or convert it to an ordinary collection")
    elif view.declared.timeseries is not None and not view.is_series:
        yield Refusal("kind", "it is declared as time-series, but is an ordinary collection", "take timeseries out")
    elif view.is_series and view.age != row["time"]:
        text = f"its time field is '{row['time']}', and it expires by nothing else; declared is '{view.age}'"
        yield Refusal("age_field", text, f"write by: {row['time']}")


def _series(view: View) -> Iterator[Refusal]:
    if requirement(view.policy).kind == "backup":
        text = "the server expires measurements by itself, every minute: it would not wait for a backup"
        yield Refusal("expiry_before_backup", text, "write then: archive, or requires: approval or nothing")
    if view.wanted > expiry.LARGEST:
        text = f"it would expire after {view.wanted:,} s; the server takes at most {expiry.LARGEST:,} s (68 years)"
        yield Refusal("expiry_value", text, "take retain out: nothing becomes so old")
    if view.archives and view.cut_off < view.expired_before:
        text = (
            f"its expireAfterSeconds of {view.wanted:,} would delete up to {view.expired_before:%Y-%m-%d %H:%M}, but "
            f"this run archives only up to {view.cut_off:%Y-%m-%d %H:%M}: the server would delete before the archive"
        )
        yield Refusal("expiry_before_archive", text, "run it with today's date")


def _times(view: View) -> Iterator[Refusal]:
    """Dates made of seconds lie in January 1970: all of them would be due, those of today too."""
    why = age_facts.not_times(view.facts.get("ends") or [])
    if why is not None:
        made = f"{{$toDate: {{$multiply: [{{$toLong: '${view.age}'}}, 1000]}}}}"
        remedy = f"updateMany with {made} where they were made of seconds, $divide where of microseconds"
        yield Refusal("ages_are_times", f"the dates in '{view.age}' are no times: {why}", f"{remedy}; mend the writer")


def _index(view: View) -> Iterator[Refusal]:
    if view.age_index is None and view.rows > SMALL_ROWS:
        yield Refusal(
            "age_index",
            f"no index leads with '{view.age}': every batch would read the collection whole",
            f"declare it: indexes: [{{keys: {{{view.age}: 1}}, name: {view.age.replace('.', '_')}_1}}]",
        )


def _expiring(view: View) -> Iterator[Refusal]:
    """A TTL index deletes by itself: it waits for no archive, backup or person."""
    kind = requirement(view.policy).kind
    waits = "the archive" if view.archives else {"backup": "the backup", "approval": "the approval"}.get(kind)
    if waits is None:
        return
    for one in view.expiring_indexes:
        text = f"{one['what']} deletes by itself, every minute ({one['expires']} s): before {waits}"
        check = "expiry_before_archive" if view.archives else f"expiry_before_{kind}"
        yield Refusal(check, text, f"{one['off']}; or write then: delete, requires: nothing")


def _archive(view: View) -> Iterator[Refusal]:
    archive, into = view.archive, view.policy.into
    if not view.is_series and view.server["topology"] == "standalone":
        text = "a standalone server has no transactions: what is copied and what is deleted could differ"
        yield Refusal("transactions", text, "run it as a replica set, if of one member")
    if view.is_series and not view.comparable:
        what = f"MongoDB {view.server['version']} cannot compare measurements with their copies"
        yield Refusal("version", f"{what}: nothing is archived or expires", "write then: delete, or upgrade to 6.0")
    if into == view.subject:
        yield Refusal("archive_drift", "it is its own archive", "name another collection in retain.into")
    if archive is None:
        return
    if archive["kind"] != "collection" or archive["capped"]:
        kind = (
            "capped: it drops its oldest" if archive["capped"] else f"a {archive['kind']}, not an ordinary collection"
        )
        yield Refusal("archive_drift", f"the archive {into} is {kind}", "name an ordinary collection in retain.into")
    for one in expiring(archive):
        text = f"the archive {into}: {one['what']} ({one['expires']} s) would delete what is archived"
        yield Refusal("archive_expires", text, str(one["off"]))
