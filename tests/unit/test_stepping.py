"""Which steps a killing test kills at: what is left out is alike, and nothing is left out that is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.harness.stepping import Stepping, distinct, without_values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 1", "select 22"),
        ("set lock_timeout = '50ms'", "set lock_timeout = '2s'"),
        ("delete from logs where id > 7.5", "delete from logs where id > 100"),
        ("select 'it''s' from logs", "select 'a -- b' from logs"),
        (r"select E'a\\b'", "select 'c'"),
        (r"insert into t values ('it\'s')", "insert into t values ('-- ')"),
        ('drop table "public"."logs_2024_02"', 'drop table "public"."logs_2024_12"'),
        ('drop table "logs_p1a2b3c4d5e6f"', 'drop table "logs_p0fedcba98765"'),
        ("select 1 -- it's the first", "select 2"),
        ("/* upkeep: it's run 7 */ select 1\n  from t", "select 1 from t"),
        ("delete from t where id in (1, 2, 3)", "delete from t where id in (4)"),
        ("insert into t values (1, 'a'), (2, 'b')", "insert into t values (3, 'c')"),
        ("move x = any(array['a', 'b'])", "move x = any(array['c'])"),
    ],
)
def test_alike(one: str, other: str) -> None:
    assert without_values(one) == without_values(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 1", "delete 1"),
        ("drop table logs", "drop table events"),
        ('drop table "logs"', 'drop table "logs_2024_02"'),
        ("comment on table t is null", "comment on table t is 'upkeep: half made'"),
        ("select 'a' from logs where b = 'c'", "select 'a' from kept where b = 'c'"),
        ("select 'a--b' from logs", "select 'a--b' from kept"),
        ("select '/*' from logs where '*/' = b", "select '/*' from kept where '*/' = b"),
        ("select 'it''s' from logs where 'x' = b", "select 'it''s' from kept where 'x' = b"),
        ("alter table t attach partition p1", "alter table t detach partition p1"),
        ("alter table t detach partition p1", "alter table t detach partition p1 concurrently"),
        ("ledger: lease_try", "ledger: lease_release"),
        ("before insert kept", "after insert kept"),
        ("select feedback", "select facade"),
        ("", "commit"),
    ],
)
def test_not_alike(one: str, other: str) -> None:
    assert without_values(one) != without_values(other)
    assert without_values(one).count("?") <= 3


@pytest.mark.parametrize(
    ("recorded", "earlier", "numbers"),
    [
        ("a", [], [1]),
        ("a b c", [], [1, 2, 3]),
        ("a1 a2 a3 a4", [], [1, 2, 4]),  # the first of all, the first and the last after another
        ("begin move1 commit begin move2 commit begin move3 commit end", [], [1, 2, 3, 4, 7, 8, 9, 10]),
        ("a commit b commit a commit", [], [1, 2, 3, 4, 5, 6]),
        ("a b c", ["a b c"], [3]),  # the last always
        ("a b c", ["a b", "b c"], [3]),
        ("a b c", ["a c b"], [2, 3]),
        ("a b c d", ["x b c y"], [1, 2, 4]),
        ("b", ["a b"], [1]),  # after nothing is not after something
        ("a1 b a2 b a3 b", ["b a7"], [1, 2, 6]),
    ],
)
def test_chosen(recorded: str, earlier: list[str], numbers: list[int]) -> None:
    assert distinct(recorded.split(), [other.split() for other in earlier]) == numbers


CASES = {"one": "a b c", "two": "a b d", "three": "a b d c"}


@pytest.mark.parametrize(
    ("every", "case", "numbers"),
    [
        (False, "one", [1, 2, 3]),
        (False, "two", [3]),
        (False, "three", [4]),
        (True, "one", [1, 2, 3]),
        (True, "two", [1, 2, 3]),
        (True, "three", [1, 2, 3, 4]),
    ],
)
def test_each_case_decides_alone(every: bool, case: str, numbers: list[int]) -> None:
    made: list[str] = []

    def record(name: str) -> Sequence[str]:
        made.append(name)
        return CASES[name].split()

    stepping = Stepping(every=every)
    assert stepping.steps("test", list(CASES), case, record) == numbers
    assert made[-1] == case
    assert stepping.steps("test", list(CASES), case, record) == numbers, "and again, with what is remembered"
    assert made[-1] == case
    for other in CASES:  # whatever came before, in any order
        stepping.steps("test", list(CASES), other, record)
    assert stepping.steps("test", list(CASES), case, record) == numbers


def test_together_the_cases_are_killed_at_everything() -> None:
    """Each pair of a step and the one before it is met in some case."""
    stepping = Stepping(every=False)
    met = set()
    for case, text in CASES.items():
        recorded = ["", *text.split()]
        numbers = stepping.steps("test", list(CASES), case, lambda name: CASES[name].split())
        met |= {(recorded[number - 1], recorded[number]) for number in numbers}
    pairs = {(a, b) for text in CASES.values() for a, b in zip(["", *text.split()], text.split(), strict=False)}
    assert met == pairs


def test_a_case_that_sends_nothing_is_an_error() -> None:
    for every in (False, True):
        with pytest.raises(AssertionError, match="nothing sent"):
            Stepping(every=every).chosen("nothing sent", [])
