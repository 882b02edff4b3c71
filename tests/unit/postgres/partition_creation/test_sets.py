"""Which list and hash partitions are missing, as tables of examples. SPEC A2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upkeep.fleet import HashLevel, ListLevel
from upkeep.model import Severity
from upkeep.postgres import bounds
from upkeep.postgres.partition_creation.forms import Remainder, Rest, Values, meets
from upkeep.postgres.partition_creation.list_and_hash import (
    Child,
    DeclaredValue,
    Sets,
    and_default,
    hashes,
    lists,
    to_ask,
    unclear,
)
from upkeep.postgres.partition_creation.statements import child_names


def children(*texts: str) -> list[Child]:
    return [Child(number, f"t_{number}", f"FOR VALUES {text}") for number, text in enumerate(texts)]


def level(**lists_: list[object]) -> ListLevel:
    return ListLevel.model_validate({"by": "k", "list": lists_})


def of(declared: ListLevel, *texts: str, known: dict[str, DeclaredValue] | None = None) -> Sets:
    return lists(declared, children(*texts), known or {}, "public.t", "k")


@pytest.mark.parametrize(
    ("existing", "missing", "checks"),
    [
        ([], [("a", ("1", "2")), ("b", (None,))], []),
        (["IN ('1', '2')", "IN (NULL)"], [], []),
        (["IN ('2', NULL, '1')"], [], []),  # one partition for both labels: all is covered
        (["IN ('1')", "IN ('2')", "IN (NULL)"], [], ["list_held"]),
        (["IN ('1')"], [("a", ("2",)), ("b", (None,))], ["list_held"]),
        (["IN ('1', '2', '3')", "IN (NULL)"], [], ["list_undeclared"]),
    ],
)
def test_lists(existing: list[str], missing: list[tuple[str, tuple[str | None, ...]]], checks: list[str]) -> None:
    found = of(level(a=["1", "2"], b=[None]), *existing)
    assert found.missing == tuple(Values(*one) for one in missing)
    assert found.absent == sum(len(values) for _, values in missing)
    assert [f.check for f in found.findings] == checks


def test_the_server_says_what_is_equal() -> None:
    known = {"01": DeclaredValue("1", frozenset({"1", "01"})), "2.0": DeclaredValue("2", frozenset({"2"}))}
    assert of(level(a=["01"], b=["2.0"]), "IN (1)", known=known).missing == (Values("b", ("2",)),)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"x": DeclaredValue("x", frozenset({"x"}), "no number")}, "no number"),
        (
            {"x": DeclaredValue("7", frozenset({"7", "07"})), "07": DeclaredValue("7", frozenset({"7", "07"}))},
            "the same value",
        ),
    ],
)
def test_refused_values_are_problems(known: dict[str, DeclaredValue], why: str) -> None:
    problem = of(level(a=["x"], b=["07"]), known=known).problem
    assert problem is not None
    assert problem.severity is Severity.ERROR
    assert why in problem.summary


def test_a_default_comes_last() -> None:
    declared = ListLevel.model_validate({"by": "k", "list": {"a": ["x"]}, "default": True})
    assert and_default(declared, of(declared), has_default=False).missing == (Values("a", ("x",)), Rest())
    assert and_default(declared, of(declared), has_default=True).missing == (Values("a", ("x",)),)


def test_the_server_is_asked_only_where_words_differ() -> None:
    assert not to_ask(level(a=["x", None], b=[2]), ["FOR VALUES IN ('x')", "FOR VALUES IN (2)"])
    assert to_ask(level(a=["x"], b=[2]), ["FOR VALUES IN ('x')", "FOR VALUES IN ('02')"])


@pytest.mark.parametrize(
    ("value", "type_", "bad"),
    [(True, "text", True), (True, "bool", False), (1.5, "text", True), (1.5, "numeric", False), (1, "text", False)],
)
def test_what_yaml_misreads(value: object, type_: str, bad: bool) -> None:
    assert (unclear(level(a=[value]), type_) is not None) == bad


@given(st.lists(st.sampled_from([1, 2, 4, 8, 16]), max_size=5), st.sampled_from([1, 2, 4, 8]), st.randoms())
def test_hash_partitions_cover_each_remainder_once(moduli: list[int], modulus: int, random: object) -> None:
    covered: set[int] = set()
    parts: list[str] = []
    for number, size in enumerate(moduli):
        mine = set(range(number % size, 16, size))
        if not mine & covered:
            covered |= mine
            parts.append(f"WITH (modulus {size}, remainder {number % size})")
    found = hashes(HashLevel(by="id", modulus=modulus), children(*parts), "public.h")
    for one in found.missing:
        assert isinstance(one, Remainder)
        mine = set(range(one.remainder, 16, modulus))
        assert not mine & covered  # PostgreSQL takes it
        covered |= mine
    open_ = [r for r in range(modulus) if not set(range(r, 16, modulus)) <= covered]
    assert bool(open_) == any(f.severity is Severity.ERROR for f in found.findings)
    assert found.absent == len(found.missing) + len(open_)


def test_moduli_without_end() -> None:
    many = [f"WITH (modulus {modulus}, remainder 0)" for modulus in (9973, 9967)]
    assert hashes(HashLevel(by="id", modulus=4), children(*many), "h").problem is not None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("IN ('a')", ("a",)),
        ("IN ('it''s', ')', ', ')", ("it's", ")", ", ")),
        ("IN (NULL, 'NULL')", (None, "NULL")),
        ("IN (1, '-2', 1.50, true, false)", ("1", "-2", "1.50", "true", "false")),
        ("IN ((-1.5))", ("-1.5",)),
        ("IN (B'101', '0')", ("101", "0")),
    ],
)
def test_list_bounds(text: str, values: tuple[str | None, ...]) -> None:
    assert bounds.values(f"FOR VALUES {text}") == values


@pytest.mark.parametrize("text", ["DEFAULT", "FOR VALUES IN ()", "FOR VALUES IN (X'1')", "FOR VALUES FROM (1) TO (2)"])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(bounds.UnknownBoundsError):
        bounds.values(text)


@pytest.mark.parametrize(
    ("args", "text", "met"),
    [
        ({"form": "list", "values": ["a", None]}, "IN (NULL, 'a')", "same"),
        ({"form": "list", "values": ["a", None]}, "IN ('a')", "part"),
        ({"form": "list", "values": ["a"]}, "IN ('b')", None),
        ({"form": "hash", "modulus": 4, "remainder": 1}, "WITH (modulus 4, remainder 1)", "same"),
        ({"form": "hash", "modulus": 4, "remainder": 1}, "WITH (modulus 8, remainder 5)", "part"),
        ({"form": "hash", "modulus": 4, "remainder": 1}, "WITH (modulus 2, remainder 0)", None),
        ({"type": "int4", "lower": "1", "upper": "5"}, "FROM (4) TO (9)", "part"),
        ({"type": "int4", "lower": "1", "upper": "5"}, "FROM (5) TO (9)", None),
    ],
)
def test_meeting_bounds(args: dict[str, object], text: str, met: str | None) -> None:
    assert meets(args, f"FOR VALUES {text}") == met


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100))
def test_names_of_lists_never_too_long_never_the_same(label: str) -> None:
    for form in (Values(label, ("a",)), Remainder(4, 3), Rest()):
        found = child_names("logs" * 14, form)
        assert len(set(found)) == len(found)
        assert all(0 < len(name.encode()) <= 63 for name in found)
