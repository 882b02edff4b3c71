"""The proof of time to live on keys of a real Redis server: what never expires, or too late, is raised and clears."""

from collections.abc import Iterator

import pytest
import redis

from local.servers import RedisServer
from tests.harness.jobs import declare
from tests.harness.looking import Looks
from tests.harness.redis import Place, fresh_place
from upkeep.errors import UnreachableError
from upkeep.fleet import Target
from upkeep.model import Finding
from upkeep.redis.session import RedisSession
from upkeep.redis.ttl_verification import observe

WITHOUT, DIFFERS = "key_without_ttl", "ttl_differs"
USER = "ttl_limited"


@pytest.fixture
def place(redis_server: RedisServer) -> Iterator[Place]:
    with fresh_place(redis_server) as made:
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[RedisSession]:
    with place.session() as opened:
        yield opened


def target(keys: str) -> Target:
    return declare("redis", "keys", keys)


def looks(keys: str = "'session:*': {ttl: {at_most: 1 day}}") -> Looks:
    return Looks("ttl_verification", target(keys))


def how(found: dict[tuple[str, str], Finding], check: str, subject: str = "session:*") -> str:
    one = found[check, subject]
    return one.severity.value if one.status == "finding" else one.status.value


def test_a_key_that_never_expires_is_raised_when_seen_twice_and_clears(session: RedisSession, place: Place) -> None:
    seen = looks()
    assert how(seen.look(session), WITHOUT) == "ok"  # nothing there: nothing wrong
    for number in range(1200):
        place.client.set(f"session:{number}", "secret", ex=600)
    place.client.set("session:kept", "secret")
    place.client.set("other", "never looked at")
    first = seen.look(session)
    assert how(first, WITHOUT) == "insufficient_evidence"
    assert first[WITHOUT, "session:*"].evidence["keys"] == 1201
    second = seen.look(session)
    assert how(second, WITHOUT) == "ERROR"
    assert second[WITHOUT, "session:*"].evidence["without"] == 1
    assert "kept" not in second[WITHOUT, "session:*"].model_dump_json()  # of an id a digest only
    place.client.expire("session:kept", 60)
    place.client.set("session:new", "secret")  # another one each time: set and expiry in two steps
    assert how(seen.look(session), WITHOUT) == "insufficient_evidence"
    place.client.expire("session:new", 60)
    assert how(seen.look(session), WITHOUT) == "ok"


def test_a_key_that_lives_too_long_is_raised_and_clears(session: RedisSession, place: Place) -> None:
    seen = looks()
    place.client.set("session:1", "x", ex=86_400)
    assert how(seen.look(session), DIFFERS) == "ok"
    place.client.set("session:2", "x", ex=86_400 * 3)
    found = seen.look(session)[DIFFERS, "session:*"]
    assert (found.severity.value, found.evidence["late"]) == ("ERROR", 1)
    assert 86_400 * 3 - 60 < found.evidence["longest_seconds"] <= 86_400 * 3
    place.client.expire("session:2", 600)
    assert how(seen.look(session), DIFFERS) == "ok"


def test_a_name_in_full_hostile_names_and_other_types(session: RedisSession, place: Place) -> None:
    seen = looks(
        r"""
'config\*': {ttl: {at_most: 1 hour}}
'q:"; drop*': {ttl: {at_most: 1 hour}}
nothing: {ttl: {at_most: 1 hour}}
"""
    )
    place.client.hset("config*", "a", "b")
    place.client.set("config-2", "is another")
    place.client.set(b'q:"; drop table \xff\n', "x")
    place.client.xadd('q:"; drop stream', {"a": "b"})
    seen.look(session)
    found = seen.look(session)
    assert how(found, WITHOUT, r"config\*") == "ERROR"
    assert found[WITHOUT, r"config\*"].evidence["without"] == 1
    assert found[WITHOUT, 'q:"; drop*'].evidence["without"] == 2
    assert how(found, WITHOUT, "nothing") == "ok"


def test_more_keys_than_can_be_looked_at_are_no_proof(
    session: RedisSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "STEP", 10)
    monkeypatch.setattr(observe, "MOST_STEPS", 3)
    for number in range(200):
        place.client.set(f"session:{number}", "x", ex=60)
    found = looks().look(session)
    for check in (WITHOUT, DIFFERS):
        assert how(found, check) == "insufficient_evidence"
    assert found[WITHOUT, "session:*"].evidence["share"] == pytest.approx(0.15)
    assert "only about 15%" in found[WITHOUT, "session:*"].summary


def test_what_our_user_may_not_see_is_said(place: Place) -> None:
    place.client.set("session:1", "x", ex=60)
    password = f">{place.server.password}"
    rights = ["+select", "+client|setname", "+info", "+time", "+scan"]
    place.client.execute_command("ACL", "SETUSER", USER, "reset", "on", password, "~other", *rights)
    try:
        with place.session(place.uri_of(USER)) as limited:
            found = looks().look(limited)
            assert {f.status.value for f in found.values()} == {"not_available"}
            assert {f.severity.value for f in found.values()} == {"WARNING"}
            place.client.execute_command("ACL", "SETUSER", USER, "+pttl")  # the command, not the keys
            found = looks().look(limited)
            assert {f.status.value for f in found.values()} == {"not_available"}
            assert "session:1" not in str([f.model_dump_json() for f in found.values()])
    finally:
        place.client.execute_command("ACL", "DELUSER", USER)


def test_a_lost_connection_is_unreachable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with place.session() as opened:
        monkeypatch.setattr(
            opened.client, "scan", lambda *_, **__: (_ for _ in ()).throw(redis.ConnectionError("gone"))
        )
        with pytest.raises(UnreachableError, match="connection to the server was lost"):
            looks().look(opened)
