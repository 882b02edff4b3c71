"""The fleet file: every mistake is named with file, line, key and remedy."""

from datetime import UTC, datetime, time

import pytest

from upkeep import fleet, settings
from upkeep.errors import ConfigurationError
from upkeep.intervals import Duration

HEAD = "version: 1\ntargets:\n  a:\n    engine: postgres\n    connection: c\n"


def table(policy: str) -> str:
    return f"{HEAD}    tables:\n      public.t: {policy}\n"


def test_the_sample_fleet_is_valid() -> None:
    loaded = fleet.load(settings.include_dir() / "fleet.yaml")
    assert {t.engine for t in loaded.targets.values()} == {"postgres", "tidb", "mongo", "redis"}


def test_defaults_reach_every_target_that_does_not_say_otherwise() -> None:
    text = (
        "version: 1\ndefaults: {mode: observe, limits: {share: 50 %}}\n"
        "targets:\n  a: {engine: postgres, connection: c}\n  b: {engine: redis, connection: d, mode: enforce}\n"
    )
    loaded = fleet.parse(text)
    assert loaded.targets["a"].mode == "observe"
    assert loaded.targets["a"].limits.share == 0.5
    assert loaded.targets["b"].mode == "enforce"


def test_safe_defaults() -> None:
    policy = fleet.parse(table("{retain: {by: at, for: 30 days, then: delete}}")).targets["a"].tables["public.t"]
    assert policy.retain is not None
    assert policy.retain.requires == "approval"
    assert policy.retain.precision == "partition"
    assert policy.retain.grace == Duration(days=7)
    assert policy.retain.cascades == "refuse"
    assert fleet.parse(HEAD).targets["a"].limits.share == 0.8


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        (table("{retain: {for: 30 days, by: at, then: archive}}"), 7, "public.t.retain", "into"),
        (table("{retain: {for: 30 days, by: at, then: delete, into: b}}"), 7, "public.t.retain", "then: archive"),
        (table("{retain: {for: 30 days, then: delete}}"), 7, "public.t", "by:"),
        (table("{retain: {for: 3 moons, by: at, then: delete}}"), 7, "retain.for", "not a duration"),
        (table("{retain: {for: 0 days, by: at, then: delete}}"), 7, "retain.for", "longer than nothing"),
        (table("{partition: {by: at, every: 1 month 2 days, ahead: 3}}"), 7, "partition", "one unit"),
        (table("{partition: {by: at, every: 1000, ahead: 3, unit: seconds}}"), 7, "partition", "number of ids"),
        (table("{partition: {by: at, every: 1 month}}"), 7, "partition", "'ahead' is missing"),
        (table("{partition: {by: at, every: 1 month, ahead: -1}}"), 7, "partition.ahead", "greater than or equal"),
        (table("{partition: {by: at, every: 1 day, ahead: 1, timezone: Mars/Base}}"), 7, "timezone", "IANA"),
        (table("{partitoin: {}}"), 7, "partitoin", "unknown key 'partitoin'"),
        (f"{HEAD}    cache: {{}}\n", 6, "a.cache", "reserved for a later job"),
        (f"{HEAD}    mode: dry\n", 6, "a.mode", "'enforce' or 'observe'"),
        (f"{HEAD}    window: {{start: 14:00, end: '15:00'}}\n", 6, "window.start", "quoted"),
        (f"{HEAD}    window: {{start: '14:00', end: '14:00'}}\n", 6, "window", "the same"),
        (f"{HEAD}    limits: {{rows: lots}}\n", 6, "limits.rows", "number of rows"),
        (f"{HEAD}    limits: {{share: 120 %}}\n", 6, "limits.share", "share"),
        (f"{HEAD}    collections: {{m: {{}}}}\n", 3, "targets.a", "engine mongo"),
        (f"{HEAD}    mode: observe\n    mode: enforce\n", 7, "a.mode", "written twice"),
        ("version: 2\ntargets: {}\n", 1, "version", "write 1"),
        ("version: 1\n", 1, "the file", "'targets' is missing"),
        ("- a\n", 1, "", "mapping"),
        ("version: 1\ntargets:\n  a: [\n", 4, "", "not YAML"),
        ("", 1, "", "mapping"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_remedy(text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet.parse(text, "my.yaml")
    message = str(caught.value)
    assert message.startswith(f"my.yaml:{line}:"), message
    assert key in message
    assert says in message


def test_all_mistakes_are_reported_at_once() -> None:
    text = f"{HEAD}    mode: dry\n    limits: {{share: none}}\n"
    with pytest.raises(ConfigurationError) as caught:
        fleet.parse(text)
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file_says_how_to_name_another(tmp_path: object) -> None:
    with pytest.raises(ConfigurationError, match="--fleet"):
        fleet.load(settings.include_dir() / "no-such-fleet.yaml")


def test_an_unknown_target_lists_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="there are: a"):
        fleet.parse(HEAD).target("b")


@pytest.mark.parametrize(
    ("text", "rows"), [("50000", 50_000), ("50 million", 50_000_000), ("1.5 thousand", 1500), ("1_000", 1000)]
)
def test_row_counts_read_as_people_write_them(text: str, rows: int) -> None:
    assert fleet.parse(f"{HEAD}    limits: {{rows: {text}}}\n").targets["a"].limits.rows == rows


@pytest.mark.parametrize(
    ("start", "end", "zone", "now", "inside"),
    [
        ("01:00", "05:00", "UTC", "2026-11-21T01:00:00+00:00", True),
        ("01:00", "05:00", "UTC", "2026-11-21T05:00:00+00:00", False),
        ("23:00", "02:00", "UTC", "2026-11-21T23:30:00+00:00", True),
        ("23:00", "02:00", "UTC", "2026-11-21T01:59:00+00:00", True),
        ("23:00", "02:00", "UTC", "2026-11-21T12:00:00+00:00", False),
        ("01:00", "05:00", "Asia/Tokyo", "2026-11-20T17:00:00+00:00", True),  # 02:00 in Tokyo
        ("01:00", "05:00", "Asia/Tokyo", "2026-11-21T02:00:00+00:00", False),
    ],
)
def test_windows_follow_their_own_zone_and_may_cross_midnight(
    start: str, end: str, zone: str, now: str, inside: bool
) -> None:
    window = fleet.Window(start=start, end=end, timezone=zone)
    assert window.start == time.fromisoformat(start)
    assert window.contains(datetime.fromisoformat(now).astimezone(UTC)) is inside


def test_the_schema_for_editors_names_keys_as_they_are_written() -> None:
    schema = fleet.json_schema()
    assert "for" in schema["$defs"]["RetainPolicy"]["properties"]
    assert schema["$defs"]["Strict"] if "Strict" in schema["$defs"] else schema["additionalProperties"] is False
