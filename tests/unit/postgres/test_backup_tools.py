"""What is read out of the words of PostgreSQL's programs."""

import pytest

from upkeep.postgres.backup import tools
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
