"""What an ``expireAfterSeconds`` does, and which values are dangerous. Pure.

MongoDB 6.0.5, tried: NaN becomes 0 on a time-series collection, which deletes everything, and 2147483647 on an index
(never); early 5.0 and 6.0 servers took NaN on an index for 0 and wiped collections (SERVER-68477, 68359, 56676).
Whatever is no whole number between 0 and 2147483647 is critical: another version reads it in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.fleet import RetainPolicy
from upkeep.model import Finding, Json, Severity

LARGEST: Final = 2_147_483_647
"""The server refuses more: 68 years. Also what it stores instead of NaN."""
PASS_SECONDS: Final = 60
"""How often the server looks for what is expired."""
BUCKET_SPANS: Final = {"seconds": 3_600, "minutes": 86_400, "hours": 2_592_000}
"""How much time a bucket of measurements may cover: it goes when its youngest measurement is due."""
_DAY: Final = 86_400
_LONGEST_MONTH: Final = 31
_LEAP_YEAR: Final = 366
_MONTHS: Final = 12


def seconds_of(policy: RetainPolicy) -> int:
    """Return the policy's age in seconds, never less than any calendar makes of it: months have 31 days, years 366."""
    years, months = divmod(policy.for_.months, _MONTHS)
    days = years * _LEAP_YEAR + months * _LONGEST_MONTH + policy.for_.days
    seconds = days * _DAY + policy.for_.seconds
    if policy.timezone != "UTC" and days:
        seconds += 3_600  # the day on which the clock goes back
    return seconds


def wanted(policy: RetainPolicy) -> int:
    """Return the ``expireAfterSeconds`` of a time-series collection: with an archive, its grace later."""
    grace = policy.grace
    extra = round(grace.approximate.total_seconds()) if policy.then == "archive" else 0
    return seconds_of(policy) + extra


def tolerance(row: Json) -> int:
    """Return how many seconds after its time a measurement may rightly still be there: bucket span and one pass."""
    return int(row["span"] or BUCKET_SPANS.get(row["granularity"] or "hours", _DAY * 30)) + PASS_SECONDS


def is_sane(value: object) -> bool:
    """Return whether every version of the server reads the value alike."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def index_findings(row: Json) -> Iterator[Finding]:
    """Yield what is dangerous about the expiry of a collection or one of its indexes."""
    name = row["name"]
    if row["expires"] is not None:
        yield from _collection(row)
    for index in row["indexes"]:
        value = index["expires"]
        if value is None:
            continue
        fix = f'db.runCommand({{collMod: "{name}", index: {{name: "{index["name"]}", expireAfterSeconds: <seconds>}}}})'
        if not is_sane(value):
            text = f"index {index['name']} has expireAfterSeconds {value}: some versions read that as 0 and wipe"
            yield _finding(name, "expiry_value", Severity.CRITICAL, text, fix, value=str(value))
        elif value == LARGEST:
            text = f"index {index['name']} has expireAfterSeconds {value}: nothing ever expires (6.0 stores NaN so)"
            yield _finding(name, "expiry_value", Severity.WARNING, text, fix, value=value)


def _collection(row: Json) -> Iterator[Finding]:
    name, value = row["name"], row["expires"]
    fix = f'db.runCommand({{collMod: "{name}", expireAfterSeconds: <seconds, or "off">}})'
    if not is_sane(value):
        text = f"its expireAfterSeconds is {value}: some versions read that as 0 and wipe it"
        yield _finding(name, "expiry_value", Severity.CRITICAL, text, fix, value=str(value))
    elif value == 0:
        text = "its expireAfterSeconds is 0: measurements are deleted at once (6.0 makes 0 of NaN)"
        yield _finding(name, "expiry_value", Severity.CRITICAL, text, fix, value=value)


def _finding(subject: str, check: str, severity: Severity, text: str, remedy: str, **evidence: object) -> Finding:
    return Finding.of(check, subject, severity, text, remedy, evidence=evidence)
