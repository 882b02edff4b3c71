"""Names as owners write them, with globs; and names as we print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upkeep.errors import ConfigurationError
from upkeep.postgres import names


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("public.logs", "public", "logs"),
        ("logs", "public", "logs"),
        ("App.Logs", "app", "logs"),
        ('public."Mixed Case"', "public", "Mixed Case"),
        ('"we.ird"."ta""ble"', "we.ird", 'ta"ble'),
        ('public."a*b"', "public", "a*b"),
        ("public.größe", "public", "größe"),
        ("public.ÄRGER", "public", "Ärger"),  # PostgreSQL folds ASCII letters only
        ("öffentlich.t$1", "öffentlich", "t$1"),
    ],
)
def test_names(text: str, schema: str, name: str) -> None:
    pattern = names.parse(text)
    assert not pattern.is_glob
    assert pattern.exact == names.Name(schema, name)
    assert pattern.matches(schema, name)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a.b.c", "a b", '""', '"a', 'a"b"', '"a"b', 'a."b"c', "a;b", 'a."b".c', "a..b"]
)
def test_what_is_no_name_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="double quotes"):
        names.parse(text)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("public.logs_*", ["logs_", "logs_a", "logs_2024_01"], ["logs", "logsXa", "xlogs_"]),
        ("public.logs?", ["logsX", "logs_"], ["logs", "logsXY"]),
        ('public."Logs"', ["Logs"], ["logs"]),
        ("public.100%_*", ["100%_x"], ["1000_x", "100%x"]),
        (r"public.back\slash*", [r"back\slashes"], ["backslash"]),
        ("*.logs", ["logs"], ["logs2"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    pattern = names.parse(glob)
    assert [n for n in [*yes, *no] if pattern.matches("public", n)] == yes


def test_a_glob_names_no_single_table() -> None:
    with pytest.raises(ConfigurationError, match="one table"):
        _ = names.parse("public.*").exact


@pytest.mark.parametrize(
    ("part", "quoted"),
    [("logs", "logs"), ("Logs", '"Logs"'), ("select", '"select"'), ('a"b', '"a""b"'), ("1a", '"1a"'), ("", '""')],
)
def test_quoted_only_where_sql_needs_it(part: str, quoted: str) -> None:
    assert names.quote(part) == quoted


letters = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=70)


@given(letters, letters)
def test_reads_what_it_prints(schema: str, name: str) -> None:
    assert names.parse(names.display(schema, name)).exact == names.Name(schema, name)


@given(letters, st.integers(0, 80))
def test_shortening_cuts_no_character(name: str, length: int) -> None:
    short = names.shorten(name, length)
    assert name.startswith(short)
    assert len(short.encode()) <= length
    assert len(short.encode()) > length - 4 or short == name
