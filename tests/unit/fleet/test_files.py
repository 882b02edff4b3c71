"""Files that a fleet file names: beside it, then in UPKEEP_HOME, then among what Upkeep brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from upkeep import settings
from upkeep.fleet import files


def test_the_nearest_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, home, own = (tmp_path / name for name in ("beside", "home", "own"))
    for folder in (beside, home, own):
        folder.mkdir()
        (folder / "suite.json").write_text("{}")
    monkeypatch.setenv("UPKEEP_HOME", str(home))
    monkeypatch.setattr(settings, "own_files", lambda: own)
    found = []
    for folder in (beside, home, own):
        found.append(files.find("suite.json", beside))
        (folder / "suite.json").unlink()
    assert [path.parent for path in found] == [beside, home, own]
    with pytest.raises(ValueError, match=r"no file 'suite\.json' beside the fleet file"):
        files.find("suite.json", beside)


def test_a_package_is_its_own_home_and_looks_for_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "upkeep"
    monkeypatch.delenv("UPKEEP_HOME", raising=False)
    monkeypatch.setattr(settings, "_PACKAGE", package)
    assert settings.checkout() == tmp_path, "a package without include/ is a checkout's"
    (package / "include").mkdir(parents=True)
    (tmp_path / "include").mkdir()
    assert (settings.checkout(), settings.include_dir()) == (package, package / "include")
    monkeypatch.setenv("UPKEEP_HOME", str(tmp_path))
    assert settings.include_dir() == tmp_path / "include"
    assert settings.own_files() == package
