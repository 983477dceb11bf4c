import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from tests.support.cli import run

from gatepost.mdm.sources.mapping import DeviceMap, MapConfiguration
from gatepost.model import Compliance
from gatepost.settings import bridge_configuration, load


def test_what_there_is():
    told = run("mdm", "--help").out
    for command in ("status", "list", "explain", "parked", "replay", "reconcile", "compare", "release", "retire"):
        assert f"│ {command} " in told


def test_the_examples_of_the_how_to_are_valid(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "mdm-direct-mode.md").read_text("utf-8")
    secret = tmp_path / "secret"
    secret.write_text("a-long-secret-for-an-example")
    examples = re.findall(r"```toml\n(.+?)```", page, re.DOTALL)
    assert len(examples) == 3
    text = re.sub(r'"/etc/gatepost/[^"]+"', f'"{secret}"', "".join(examples))
    (tmp_path / "gatepost.toml").write_text(text)
    bridge = bridge_configuration(load(tmp_path / "gatepost.toml", {}).mdm)
    assert [one.name for one in bridge.sources] == ["uem", "inventory"]
    assert (bridge.local, bridge.workmail.region) == (True, "eu-west-1")


def test_the_small_example_reads_its_list():
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "mdm-direct-mode.md").read_text("utf-8")
    (row,) = json.loads(re.search(r"```json\n(.+?)```", page, re.DOTALL)[1])["devices"]
    fields = tomllib.loads(re.search(r"(\[mdm\.sources\.fields\]\n.+?)```", page, re.DOTALL)[1])["mdm"]["sources"][
        "fields"
    ]
    shown = DeviceMap(MapConfiguration(fields))
    posture = shown.posture("inventory", shown.key(row), row, datetime(2026, 11, 22, 9, tzinfo=UTC))
    assert (posture.device_key, posture.compliance, posture.device_ids) == (
        "7",
        Compliance.COMPLIANT,
        ("APPLF1B2C3D4E5",),
    )
