"""Prometheus' rules and Grafana's dashboard: their own tests pass, and every figure that they name is one that a room exports."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from services.cli.parts import open_bus, open_database
from services.ingest.main import build as build_ingest
from services.journey.main import build as build_journey
from services.metrics.main import build as build_metrics
from services.shared.clock import system_clock
from services.shared.config import Settings
from tests.parts import compose
from tests.parts.needed import program

DEPLOY = compose.ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "waypost.json"
_NAME = re.compile(r"\bwaypost_\w+")
_SAMPLES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The names of all samples that the rooms can export."""
    settings, registry = Settings(data=tmp_path_factory.mktemp("data")), CollectorRegistry()
    with ExitStack() as stack:
        bus = open_bus(settings)
        stack.callback(bus.close)
        stack.callback(build_ingest(settings, bus, registry, system_clock).close)
        for room, build in (("journey", build_journey), ("metrics", build_metrics)):
            database = open_database(settings, room)
            stack.callback(database.close)
            build(settings, database, bus, registry)
        return frozenset(family.name + suffix for family in registry.collect() for suffix in _SAMPLES[family.type])


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return shown


def _rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        yield from group["rules"]


def _promtool(*arguments: str | Path) -> str:
    tool = program("promtool", "prometheus")
    done = subprocess.run([tool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid() -> None:
    assert "SUCCESS" in _promtool("check", "config", "prometheus.yml")


def test_the_alerts_pass_their_tests() -> None:
    assert "SUCCESS" in _promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tested_to_fire_and_to_keep_quiet() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    names = {rule["alert"] for rule in _rules()}
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == names


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in _rules():
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]


def test_alerts_use_figures_that_are_exported(exported: frozenset[str]) -> None:
    used = {name for rule in _rules() for name in _NAME.findall(rule["expr"])}
    assert used
    assert used - exported == set()


def test_panels_use_figures_that_are_exported(exported: frozenset[str], dashboard: dict[str, Any]) -> None:
    used = {name for expression in _expressions(dashboard) for name in _NAME.findall(expression)}
    assert used - exported == set()


def test_every_expression_of_the_dashboard_can_be_read(dashboard: dict[str, Any], tmp_path: Path) -> None:
    """As rules, which promtool parses."""
    expressions = [expression.replace("$__rate_interval", "1m") for expression in _expressions(dashboard)]
    rules = [{"record": f"panel:{place}", "expr": expression} for place, expression in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in _promtool("check", "rules", file)


def test_panels_have_ids_of_their_own_and_lie_beside_each_other(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_grafana_finds_its_data_source_and_its_dashboards(dashboard: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/waypost.yml").read_text())["providers"]
    used = {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel.get("targets", [])}
    assert used == {source["uid"]}
    mounts = [mount.split(":") for mount in compose.raw()["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in [inside for outside, inside, *_ in mounts if outside == "./deploy/grafana/dashboards"]
    host, _, port = source["url"].removeprefix("http://").partition(":")
    assert f":{port}/" in compose.raw()["services"][host]["healthcheck"]["test"][-1]


def _expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
