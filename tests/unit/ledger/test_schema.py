from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import upkeep.migrations
from upkeep.ledger import schema
from upkeep.settings import include_dir


def test_the_version_in_code_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(str(upkeep.migrations.__file__)).parent))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [schema.VERSION]
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True), "versions are compared as text"


def test_every_statement_says_what_it_is_for() -> None:
    files = list((include_dir() / "sql" / "control").rglob("*.sql"))
    assert files
    for path in files:
        text = path.read_text()
        assert text.startswith("-- "), path
        body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        comments = text.removesuffix(body)
        assert "%" not in "".join(line for line in comments.splitlines() if line.startswith("--")), path
