"""docker-compose.yml, as far as it can be judged without starting anything."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from services.ingest.store.sources import parse_write_keys
from services.shared.config import load
from services.shared.http import Access
from tests.parts import compose
from tests.parts.kafka import POM
from tests.parts.needed import lacking

FILLED = {
    "POSTGRES_PASSWORD": "pw",
    "WAYPOST_WRITE_KEYS": "web=c0123456789012345678901234",
    "WAYPOST_READ_TOKENS": "reading",
    "WAYPOST_ADMIN_TOKENS": "deciding",
    "GRAFANA_PASSWORD": "looking",
}
ROOMS = ("ingest", "journey", "metrics")


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return compose.load(FILLED)


@pytest.fixture(scope="module")
def specification() -> Any:
    """The JSON schema of the Compose specification, as check-jsonschema carries it."""
    package = importlib.util.find_spec("check_jsonschema")
    if package is None or package.origin is None:
        lacking("the Compose schema comes with the package check-jsonschema, which is not installed")
    return json.loads((Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())


def test_the_file_keeps_the_compose_specification(specification: Any, file: dict[str, Any]) -> None:
    validator = jsonschema.validators.validator_for(specification)(specification)
    assert [error.message for error in validator.iter_errors(compose.raw())] == []
    assert [error.message for error in validator.iter_errors(file)] == []


def test_the_specification_would_find_a_mistake(specification: Any, file: dict[str, Any]) -> None:
    file = {**file, "services": {"kafka": {"imagine": "apache/kafka"}}}
    with pytest.raises(jsonschema.ValidationError, match="imagine"):
        jsonschema.validate(file, specification)


def test_only_the_proxy_has_a_port_outside_and_only_on_loopback(file: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in file["services"].items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:8000:8080"]}
    outside = [name for name, service in file["services"].items() if service["networks"] != ["inside"]]
    assert outside == ["proxy"]
    assert file["networks"]["inside"]["internal"] is True


def test_nobody_is_root_and_nobody_can_become_it(file: dict[str, Any]) -> None:
    for name, service in file["services"].items():
        user = service["user"].partition(":")[0]
        assert user.isdigit(), name
        assert int(user) > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_all_but_kafka_run_on_a_read_only_disk(file: dict[str, Any]) -> None:
    assert [name for name, service in file["services"].items() if not service.get("read_only")] == ["kafka"]


def test_whoever_is_waited_for_says_when_it_is_healthy(file: dict[str, Any]) -> None:
    services = file["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, (name, other)
            assert services[other]["healthcheck"]["test"][0] == "CMD", other
    assert all(service["restart"] == "unless-stopped" and service["healthcheck"] for service in services.values())
    order = compose.start_order(file)
    assert max(order.index(name) for name in ("kafka", "postgres")) < min(order.index(room) for room in ROOMS)
    assert max(order.index(room) for room in ROOMS) < order.index("proxy")


@pytest.mark.parametrize("name", sorted(FILLED))
def test_no_secret_has_a_default(name: str) -> None:
    with pytest.raises(compose.Missing, match=name):
        compose.load({other: value for other, value in FILLED.items() if other != name})


def test_the_example_of_env_names_every_variable_and_sets_no_secret() -> None:
    lines = (compose.ROOT / ".env.example").read_text().splitlines()
    named = dict(line.removeprefix("# ").split("=", 1) for line in lines if re.match(r"(# )?[A-Z_]+=", line))
    assert named.keys() == compose.variables().keys()
    assert {name for name, value in named.items() if not value} == FILLED.keys()
    defaults = {name: word.removeprefix(":-") for name, word in compose.variables().items() if word.startswith(":-")}
    shown = {name: named[name] for name, default in defaults.items() if default}
    assert shown == {name: default for name, default in defaults.items() if default}


@pytest.mark.parametrize("room", ROOMS)
def test_every_setting_of_a_room_is_one_that_there_is(file: dict[str, Any], room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in file["services"][room]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert (settings.host, settings.port, settings.partitions) == ("0.0.0.0", 8000, 12)
    assert not settings.embedded_bus
    assert not settings.embedded_database
    assert parse_write_keys(settings.write_keys)
    Access.of(settings).check_token("Bearer reading", reading=True)


def test_the_rooms_know_the_database_as_it_is_made(file: dict[str, Any]) -> None:
    made = file["services"]["postgres"]["environment"]
    url = f"postgresql://{made['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@postgres:5432/{made['POSTGRES_DB']}"
    assert {file["services"][room]["environment"]["WAYPOST_DATABASE"] for room in ROOMS} == {url}


def test_the_rooms_know_kafka_as_it_says_that_it_is_called(file: dict[str, Any]) -> None:
    said = file["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert {file["services"][room]["environment"]["WAYPOST_BUS"] for room in ROOMS} == {said.replace("PLAINTEXT", "kafka")}


def test_kafka_is_the_version_that_the_tests_run(file: dict[str, Any]) -> None:
    maven = {"m": "http://maven.apache.org/POM/4.0.0"}
    kafka = ElementTree.parse(POM).getroot().find("m:dependencies/m:dependency[m:artifactId='kafka_2.13']/m:version", maven)
    assert kafka is not None
    assert file["services"]["kafka"]["image"] == f"apache/kafka:{kafka.text}"


def test_every_file_that_is_mounted_is_there(file: dict[str, Any]) -> None:
    mounts = [mount.split(":") for service in file["services"].values() for mount in service.get("volumes", [])]
    files = [mount for mount in mounts if mount[0].startswith(".")]
    assert files
    assert all((compose.ROOT / mount[0]).exists() and mount[2] == "ro" for mount in files)
    assert {mount[0] for mount in mounts if not mount[0].startswith(".")} == file["volumes"].keys()
