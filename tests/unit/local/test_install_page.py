"""docs/install.md: what can be checked of recipes that cannot be run here."""

from __future__ import annotations

import re

import yaml

from tests.integration.local.test_package import DAG_FILE
from upkeep import __version__, settings

TEXT = (settings.checkout() / "docs" / "install.md").read_text(encoding="utf-8")
COMPOSE, HELM = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))


def test_the_dag_file_is_the_one_that_is_tried_with_the_wheel() -> None:
    for name in ("README.md", "docs/install.md"):
        page = (settings.checkout() / name).read_text(encoding="utf-8")
        blocks = re.findall(r"^( *)```python\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
        assert DAG_FILE in ["".join(line[len(indent) :] for line in text.splitlines(True)) for indent, text in blocks]


def test_the_wheel_has_the_version_of_the_package() -> None:
    assert {*re.findall(r"upkeep-([\d.]+)-py3", TEXT)} == {__version__}


def test_the_fleet_file_lies_where_it_is_looked_for() -> None:
    services = COMPOSE["services"].values()
    assert all("UPKEEP_FLEET" in service["environment"] for service in services)
    (fleet,) = [entry["value"] for entry in HELM["env"] if entry["name"] == "UPKEEP_FLEET"]
    assert fleet == f"{HELM['volumeMounts'][0]['mountPath']}/fleet.yaml"
    assert {v["name"] for v in HELM["volumes"]} == {v["name"] for v in HELM["volumeMounts"]}
    secrets = {(entry["secretName"], entry["secretKey"]) for entry in HELM["secret"]}
    assert all(name in TEXT and f"--from-literal={key}=" in TEXT for name, key in secrets)
