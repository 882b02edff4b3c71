"""What is read out of the words of PostgreSQL's programs."""

import pytest

from upkeep.postgres.backup import archive, tools
from upkeep.programs import Output

SETTING = (
    'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
)
OTHER = 'pg_restore: error: could not execute query: ERROR:  relation "public.logs" does not exist'


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        (1, (SETTING, SETTING, "pg_restore: warning: errors ignored on restore: 2"), True),
        (1, (SETTING, OTHER, "pg_restore: warning: errors ignored on restore: 2"), False),
        (1, (SETTING, "pg_restore: warning: errors ignored on restore: 2"), False),
        (1, (SETTING,), False),
        (1, (SETTING, "pg_restore: error: one of the workers failed"), False),
        (137, (SETTING, "pg_restore: warning: errors ignored on restore: 1"), False),
    ],
)
def test_only_a_setting_that_an_older_server_does_not_know_is_harmless(
    status: int, lines: tuple[str, ...], expected: bool
) -> None:
    assert tools.harmless(Output("pg_restore", status, lines, 1.0)) is expected


@pytest.mark.parametrize(
    ("encoding", "name", "codec"),
    [
        ("UTF8", "größe", "utf-8"),
        ("LATIN1", "größe", "latin-1"),
        ("LATIN9", "€", "iso8859-15"),
        ("WIN1252", "€", "cp1252"),
        ("WIN866", "число", "cp866"),
        ("KOI8R", "число", "koi8-r"),
        ("EUC_CN", "数", "gb2312"),
        ("EUC_JIS_2004", "数", "euc_jis_2004"),
        ("SQL_ASCII", "größe", "utf-8"),  # as a session of ours reads it
    ],
)
def test_a_sequence_is_read_in_the_encoding_of_its_dump(encoding: str, name: str, codec: str) -> None:
    text = f"""SET client_encoding = '{encoding}';\n\nSELECT pg_catalog.setval('public."{name}"', 42, true);\n"""
    (found,) = archive._values(text.encode(codec))
    assert (found.name, found.structures) == (f'public."{name}"', ("stands at 42, which was given out",))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "MULE_INTERNAL", "UTF8"])
def test_one_that_cannot_be_read_costs_no_other(encoding: str) -> None:
    script = f"SET client_encoding = '{encoding}';\nSELECT pg_catalog.setval('public.\"\xf6\"', 1, true);\n"
    found = archive._values(script.encode("latin-1") + b"SELECT pg_catalog.setval('public.plain', 7, false);\n")
    assert [one.name for one in found] == ([] if encoding == "MULE_INTERNAL" else ["public.plain"])
