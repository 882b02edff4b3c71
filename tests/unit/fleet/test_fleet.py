"""The fleet file: every mistake is named with file, line, key and remedy."""

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from upkeep import fleet, settings
from upkeep.errors import ConfigurationError
from upkeep.fleet import outside
from upkeep.jobs import rooms
from upkeep.model import ENGINES
from upkeep.model.intervals import Duration

HEAD = "version: 1\ntargets:\n  a:\n    engine: postgres\n    connection: c\n"


def table(policy: str) -> str:
    return f"{HEAD}    tables:\n      public.t: {policy}\n"


def collection(policy: str) -> str:
    return f"{HEAD.replace('postgres', 'mongo')}    collections:\n      m: {policy}\n"


def stream(policy: str) -> str:
    return f"{HEAD.replace('postgres', 'redis')}    streams:\n      m: {policy}\n"


def keys(policy: str) -> str:
    return f"{HEAD.replace('postgres', 'redis')}    keys:\n      m: {policy}\n"


def test_the_sample_fleet_is_valid() -> None:
    loaded = fleet.load(settings.include_dir() / "fleet.yaml")
    assert {t.engine for t in loaded.targets.values()} == {*ENGINES}


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


def _into(place: str) -> str:
    return f"{{retain: {{for: 30 days, by: at, then: archive, into: '{place}'}}}}"


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        (table("{retain: {for: 30 days, by: at, then: archive}}"), 7, "public.t.retain", "into"),
        (table(_into("archive/logs")), 7, "public.t.retain", "relative directory"),
        (table(_into("./x")), 7, "public.t.retain", "relative directory"),
        (table(_into("s3://key:secret@b/c")), 7, "public.t.retain", "must not carry a password"),
        (table(_into("s3://b/c?token=abc")), 7, "public.t.retain", "must not carry options"),
        (table(_into("s3:///c")), 7, "public.t.retain", "no bucket"),
        (table(_into("file://host/c")), 7, "public.t.retain", "file:///"),
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
        (f"{HEAD}    streams: {{m: {{retain: {{for: 1 day, then: delete}}}}}}\n", 3, "targets.a", "engine redis"),
        (table(_into("/srv/x")).replace("postgres", "tidb"), 3, "targets.a", "engine postgres only; name a table"),
        (table("{}").replace("postgres", "redis"), 3, "targets.a", "write streams:"),
        (stream("{}"), 7, "m", "'retain' is missing"),
        (table("{ttl: {by: at, after: 30 days}}"), 3, "targets.a", "engine tidb only; write retain:"),
        (table("{ttl: {by: at}}"), 7, "public.t.ttl", "'after' is missing"),
        (
            table("{ttl: {by: at, after: 1 day}, retain: {for: 1 day, by: at, then: delete}}"),
            7,
            "public.t",
            "declare one",
        ),
        (keys("{}"), 7, "m", "'ttl' is missing"),
        (keys("{ttl: {at_most: 1 month}}"), 7, "m.ttl", "no fixed length"),
        (keys("{ttl: {at_most: 0 days}}"), 7, "m.ttl.at_most", "longer than nothing"),
        (keys("{ttl: {at_most: 1 day}}").replace("redis", "mongo"), 3, "targets.a", "engine redis, not mongo"),
        (collection("{ttl: {by: at, after: 1 month}}"), 7, "m", "no number of seconds"),
        (collection("{ttl: {by: _id, after: 1 day}}"), 7, "m", "can have no TTL index"),
        (collection("{ttl: {by: at, after: 1 day}, timeseries: {time: at}}"), 7, "m", "write retain:"),
        (
            collection("{ttl: {by: at, after: 1 day}, retain: {by: at, for: 1 day, then: delete}}"),
            7,
            "m",
            "declare one of them",
        ),
        (
            collection("{ttl: {by: at, after: 1 day}, indexes: [{keys: {at: 1}, name: at_idx}]}"),
            7,
            "m",
            "the server keeps one",
        ),
        (stream("{retain: {for: 1 day, by: at, then: delete}}"), 7, "m", "id tells its age"),
        (stream("{retain: {for: 1 day, then: delete, precision: row}}"), 7, "m", "leave it out"),
        (stream("{retain: {for: 1 day, then: archive, into: n}}"), 7, "m", "no archive"),
        (collection("{timeseries: {time: at, meta: at}}"), 7, "m.timeseries", "two fields"),
        (collection("{timeseries: {time: _id}}"), 7, "m.timeseries", "top-level field"),
        (
            collection("{timeseries: {time: at, granularity: days}}"),
            7,
            "granularity",
            "'seconds', 'minutes' or 'hours'",
        ),
        (collection("{validator: no/such.json}"), 7, "m.validator", "no/such.json"),
        (collection("{timeseries: {time: at}, validator: include/fleet.yaml}"), 7, "collections.m", "take none"),
        (collection("{indexes: [{keys: {}, name: a}]}"), 7, "indexes.0.keys", "at least 1"),
        (collection("{indexes: [{keys: {a: 2}, name: a}]}"), 7, "indexes.0", "2 is not a kind of key"),
        (collection("{indexes: [{keys: {_id: 1}, name: a}]}"), 7, "indexes.0", "leave it out"),
        (collection("{indexes: [{keys: {a: 1}, name: a, sparse: true, partial: {a: 1}}]}"), 7, "indexes.0", "partial"),
        (collection("{indexes: [{keys: {a: hashed}, name: a, unique: true}]}"), 7, "indexes.0", "hashed"),
        (collection("{indexes: [{keys: {a: 1}, name: a}, {keys: {b: 1}, name: a}]}"), 7, "m", "two are called 'a'"),
        (collection("{indexes: [{keys: {a: 1}, name: a}, {keys: {a: 1}, name: b}]}"), 7, "m", "the same keys"),
        (collection("{timeseries: {time: t}, indexes: [{keys: {a: 1}, name: a, unique: true}]}"), 7, "m", "unique"),
        (collection("{retain: {for: 30 days, then: delete}}"), 7, "m", "by:"),
        (collection("{retain: {by: $at, for: 30 days, then: delete}}"), 7, "m", "no field"),
        (collection("{retain: {by: at, for: 30 days, then: delete, unit: seconds}}"), 7, "m", "unit"),
        (collection("{retain: {by: at, for: 30 days, then: delete, cascades: declared}}"), 7, "m", "cascades"),
        (collection("{retain: {by: at, for: 30 days, then: delete, grace: 2 days}}"), 7, "m", "deleted at once"),
        (collection("{retain: {by: at, for: 30 days, then: archive, into: s3://b/c}}"), 7, "m", "same database"),
        (
            collection("{timeseries: {time: t}, retain: {by: at, for: 30 days, then: delete}}"),
            *(7, "m", "expires by its time field 't'"),
        ),
        (
            collection("{timeseries: {time: t}, retain: {for: 30 days, then: delete, requires: {backup: 1 day}}}"),
            *(7, "m", "waits for no backup"),
        ),
        (
            collection("{timeseries: {time: t}, retain: {for: 30 days, then: archive, into: b, grace: 2 hours}}"),
            *(7, "m", "at least 1 day"),
        ),
        (f"heartbeat: somewhere\n{HEAD}", 1, "heartbeat", "this is no address: write http://… or https://…"),
        (f"heartbeat: mailto:a@b.org\n{HEAD}", 1, "heartbeat", "this is no address"),
        (f"heartbeat: 'https://h/a b'\n{HEAD}", 1, "heartbeat", "this is no address"),
        (f"notify: file:///etc/passwd\n{HEAD}", 1, "notify", "or mailto:somebody@example.org"),
        (f"notify: https:///path\n{HEAD}", 1, "notify", "names no host"),
        (f"notify: https://ada:key@h/\n{HEAD}", 1, "notify", "leave them out"),
        (f"notify: mailto:ops\n{HEAD}", 1, "notify", "no mail address"),
        (f"notify: 7\n{HEAD}", 1, "notify", "as text"),
        (f"{HEAD}    notify: https://h/\n", 6, "a.notify", "a key of the whole file"),
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


def test_what_collections_declare() -> None:
    text = collection("{indexes: [{keys: {b: 1, a: -1}, name: i}], retain: {by: at, for: 1 day, then: delete}}")
    target = fleet.parse(text).targets["a"]
    assert list(target.collections["m"].indexes[0].keys.items()) == [("b", 1), ("a", -1)]
    assert list(rooms.policies(target, "partition_creation")) == ["m"]
    assert list(rooms.policies(target, "data_retention")) == ["m"]
    assert list(target.declared(["indexes"])) == ["a", "m"]  # of the target too: that holds everywhere
    assert list(target.declared(["collections.indexes"])) == ["m"]
    assert list(target.declared(["target.indexes"])) == ["a"]
    assert list(target.declared(["tables.indexes", "timeseries", "nonsense"])) == []
    assert list(rooms.policies(target, "index_analysis")) == ["a"]
    assert list(rooms.policies(target, "reindex")) == []  # the key is of both; of the two MongoDB has the other one
    bare = fleet.parse(collection("{timeseries: {time: at}}")).targets["a"]
    assert list(rooms.policies(bare, "partition_creation")) == ["m"]
    assert list(rooms.policies(bare, "data_retention")) == []
    assert bare.collections["m"].age_field is None


def test_a_validator_is_found_beside_the_fleet_file(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("{}")
    (tmp_path / "fleet.yaml").write_text(collection("{validator: v.json}"))
    loaded = fleet.load(tmp_path / "fleet.yaml")
    assert loaded.targets["a"].collections["m"].validator == str((tmp_path / "v.json").resolve())


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


def test_a_secret_in_a_location_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet.parse(table(_into("s3://key:s3cr3t@b/c")))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\ntargets: 2026-13-45\n", "in quotes"),
        ("version: " + "[" * 5000, "nested too deeply"),
        ("version: 1\ntargets: &t {a: *t}\n", "nested too deeply"),
        ("a: \x00", "not YAML"),
    ],
)
def test_what_no_fleet_file_can_be_is_said_without_a_traceback(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        fleet.parse(text)


@pytest.mark.parametrize(("path", "says"), [("a\0b", "no path"), ("", "directory"), ("/", "directory")])
def test_what_is_no_file_is_said_without_a_traceback(path: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        fleet.load(Path(path))


SECRET_PATH = "what-nobody-may-read"


@pytest.mark.parametrize("key", ["heartbeat", "notify"])
@pytest.mark.parametrize("address", ["htps://h/{}", "https://u:{}@h/", "https://h:port/{}", "https://h/ {}", "[{}"])
def test_a_wrong_address_is_not_shown(key: str, address: str) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        fleet.parse(f"{key}: '{address.format(SECRET_PATH)}'\n{HEAD}")
    assert SECRET_PATH not in str(caught.value)


def test_who_is_called_and_who_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "notify: 'mailto:ops@example.org,dba@example.org'"
    loaded = fleet.parse(f"heartbeat: https://h.example/{SECRET_PATH}\n{told}\n{HEAD}")
    assert loaded.heartbeat is not None
    assert loaded.notify is not None
    assert SECRET_PATH not in repr(loaded)
    assert outside.said("heartbeat", loaded.heartbeat) == f"https://h.example/{SECRET_PATH}"
    assert outside.said("notify", loaded.notify) == "mailto:ops@example.org,dba@example.org"
    schema = fleet.json_schema()["properties"]
    assert "complete round" in schema["heartbeat"]["description"]
    assert "notify" in schema
    hidden = fleet.parse(f"notify: '${{WHOM}}'\n{HEAD}").notify
    assert hidden is not None
    monkeypatch.setenv("WHOM", f"https://h.example/{SECRET_PATH}")
    assert outside.said("notify", hidden).endswith(SECRET_PATH)
    monkeypatch.setenv("WHOM", f"ftp://h.example/{SECRET_PATH}")
    with pytest.raises(ConfigurationError, match="WHOM: this is no address") as caught:
        outside.said("notify", hidden)
    assert SECRET_PATH not in str(caught.value)
    monkeypatch.delenv("WHOM")
    with pytest.raises(ConfigurationError, match="WHOM is not set"):
        outside.said("notify", hidden)
    assert fleet.parse(HEAD).heartbeat is None
