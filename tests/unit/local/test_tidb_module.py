"""The generated build module of TiDB."""

import pytest

from local.errors import LocalError
from local.obtain import tidb

THEIRS = """module github.com/pingcap/tidb

go 1.25.12

require (
\tgithub.com/BurntSushi/toml v1.5.0
\tgithub.com/pingcap/tidb/pkg/parser v0.0.0-20211011031125-9b13dc409c5e
)

replace (
\tgithub.com/go-ldap/ldap/v3 => github.com/YangKeao/ldap/v3 v3.4.5
\tgithub.com/pingcap/tidb/pkg/parser => ./pkg/parser
)
"""


def test_the_relative_replacement_is_pinned_and_the_rest_kept() -> None:
    ours = tidb.build_module(THEIRS)
    assert "./pkg/parser" not in ours
    assert f"pkg/parser => github.com/pingcap/tidb/pkg/parser {tidb.PARSER_VERSION}" in ours
    assert f"require github.com/pingcap/tidb {tidb.VERSION}" in ours
    assert "ldap/v3 v3.4.5" in ours
    assert ours.startswith("module upkeep.invalid/tidb\n")


@pytest.mark.parametrize("text", ["", "module x\n", THEIRS.replace("./pkg", "../pkg")])
def test_an_unknown_shape_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match="new shape"):
        tidb.build_module(text)
