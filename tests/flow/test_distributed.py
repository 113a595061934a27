"""The whole flow on a real Kafka and a real PostgreSQL, with two processes of each room: the answers of the embedded form, from everybody."""

from __future__ import annotations

import io
import json
import re
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from subprocess import PIPE, Popen
from time import monotonic
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import msgspec
import pytest
from rich.console import Console

from schemas.topics import DONE, JOURNEYS
from services.cli.demo.figures import Figures
from services.cli.rejected import replay, show
from services.cli.simulate.truth import tell_the_truth
from services.cli.simulate.year import SOURCES, Year
from services.metrics.domain.catalogue import KPIS
from tests.flow import poison
from tests.parts import installation
from tests.parts.installation import KEYS, Installation, ask, check, requests_of, send_all, small_year
from tests.parts.kafka import PROPERTIES, Kafka
from tests.parts.needed import lacking
from tests.parts.postgres import Postgres
from tests.parts.processes import Process
from tests.parts.server import PartMissing

TOUCHPOINTS = 3000
YEAR = {"from": "2024-01-01", "to": "2026-01-01"}
AS_OF = "2025-06-01T00:00:00Z"
LONG_AGO = {"occurred_at": "2020-01-01T00:00:00Z"}
LEFT_IN_S = 60.0
OWN = frozenset({"id", "person_id", "journey_id", "version", "complete_to", "generation", "next_cursor"})
"""What an installation makes up by itself."""


@dataclass(frozen=True)
class Sent:
    """An installation that has taken the year, and the token of it all."""

    at: Installation
    token: str


@pytest.fixture(scope="module")
def year() -> Year:
    return small_year(TOUCHPOINTS)


@pytest.fixture(scope="module")
def alone(year: Year, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    with installation.embedded(tmp_path_factory.mktemp("embedded")) as at:
        yield Sent(at, _send(at, year))


@pytest.fixture(scope="module")
def several(year: Year, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder = tmp_path_factory.mktemp("distributed")
    try:
        kafka = Kafka(PROPERTIES)
        kafka.start()
    except PartMissing as error:
        lacking(str(error))
    with closing(kafka), installation.distributed(kafka.bootstrap, postgres.new_database(), 2, folder) as at:
        yield Sent(at, _send(at, year))


def test_every_process_of_both_forms_gives_the_same_answers(alone: Sent, several: Sent, year: Year) -> None:
    """Persons and journeys from each journey process, KPIs, stages and transitions from each metrics process."""
    people = sorted({happening.root for happening in year.happenings})
    expected = _about(people, alone.at.journeys[0], alone.token)
    assert len(expected) == len(people)
    for journey in several.at.journeys:
        assert _about(people, journey, several.token) == expected
    counted = _figures(alone.at.metrics[0], alone.token)
    for metrics in several.at.metrics:
        assert _figures(metrics, several.token) == counted


def test_the_answers_are_what_the_generator_knows(alone: Sent, year: Year) -> None:
    with closing(alone.at.metrics[0].service()) as service:
        lines = list(Figures(service, tell_the_truth(year), year.calendar, alone.token).lines())
    assert [line for line in lines if not line.is_right] == []


def test_both_journeys_and_both_metrics_share_the_partitions(several: Sent) -> None:
    for room, processes in (("journey", several.at.journeys), ("metrics", several.at.metrics)):
        shares = _shares(room, processes, 2)
        assert frozenset.union(*shares) == frozenset(range(6))
        assert not frozenset.intersection(*shares)


def test_a_link_told_to_one_process_is_taken_back_through_the_other_and_leaves_nothing(several: Sent, year: Year) -> None:
    pair = sorted({happening.root for happening in year.happenings if happening.root.startswith("customer_id:")})[:2]
    before, counted = _about(pair, several.at.journeys[0], several.token), _stages(several.at.metrics, several.token)
    linked = _tell(several.at.journeys[0], "link", pair)
    for journey in several.at.journeys:
        joined = _about(pair, journey, f"{several.token},{linked['token']}")
        assert joined[pair[0]] == joined[pair[1]]
        assert joined[pair[0]]["touchpoints"] == sum(before[root]["touchpoints"] for root in pair)
    assert _stages(several.at.metrics, linked["token"]) != counted
    parted = _tell(several.at.journeys[1], "unlink", pair)
    assert (parted["parted"], parted["path"]) == (True, None)
    for journey in several.at.journeys:
        assert _about(pair, journey, parted["token"]) == before
    assert _stages(several.at.metrics, parted["token"]) == counted


def test_every_check_of_every_process_finds_nothing(several: Sent) -> None:
    for room, processes in (("journey", several.at.journeys), ("metrics", several.at.metrics)):
        for process in processes:
            checked, mismatches, examples = check(process, room)
            assert (mismatches, examples) == (0, [])
            assert checked > 0


@pytest.mark.parametrize("form", ["alone", "several"])
def test_poisonous_records_of_every_topic_are_listed_and_counted_and_stop_nothing(
    form: str, request: pytest.FixtureRequest
) -> None:
    """What comes behind them is seen in persons and KPIs; every process lists every one of them, with its bytes and its place."""
    at: Installation = request.getfixturevalue(form).at
    with Popen([sys.executable, "-m", "tests.flow.poison", at.bus], stdin=PIPE, stdout=PIPE, text=True) as poisoner:
        assert poisoner.stdin is not None
        assert poisoner.stdout is not None
        assert poisoner.stdout.readline() == "published\n"
        token = _post(
            at, [{"id": f"b-{n}", "type": "x", "identities": {"customer_id": f"behind-{n}"}, **LONG_AGO} for n in range(24)]
        )
        day = {"from": "2020-01-01", "to": "2020-01-02", "grain": "none"}
        for metrics in at.metrics:
            assert [row["value"] for row in ask(metrics, "/v1/kpis/touchpoints", day, token)["rows"]] == [24]
        for n in range(24):
            assert ask(at.journeys[n % len(at.journeys)], f"/v1/persons/customer_id:behind-{n}", None, token)["touchpoints"] == 1
        marked, _ = poisoner.communicate("mark\n", timeout=60)
    wanted = Counter(poison.expected())
    for ingest in at.ingests:
        rows = [row for row in _rejected(ingest, json.loads(marked)) if row["source"] != "marker" and row["topic"] != DONE]
        found = Counter((row["room"], row["topic"], _bytes_of(row)) for row in rows)
        assert found == wanted
        assert len({(row["topic"], row["partition"], row["offset"]) for row in rows}) == wanted.total()
    for room, processes in (("ingest", at.ingests), ("journey", at.journeys), ("metrics", at.metrics)):
        counted = sum(_counted(process, f"waypost_{room}_rejected_total") for process in processes)
        assert counted >= sum(count for (who, _, _), count in wanted.items() if who == room)
    for process in at.processes:
        assert ask(process, "/health/ready")["ready"] is True
    if (
        form == "alone"
    ):  # where a check costs little. It reads the topics as well, and names what nobody should have written there
        assert all(check(at.journeys[0], room)[0] > 0 for room in ("journey", "metrics"))
    shown = io.StringIO()
    show(at.ingests[0].url, "", {"room": "metrics"}, 1000, Console(file=shown, width=200))
    assert f"{len(poison.KEYS) * len(poison.OF_TOPIC[JOURNEYS])} rejected records" in shown.getvalue()
    poisoned = {"source": "poisoner", "room": "journey", "by": "sam"}
    assert not replay(at.ingests[0].url, "", poisoned, Console(file=shown, width=200))
    numbered, rest = len(poison.KEYS), sum(row["source"] == "poisoner" for row in rows)  # a number is an identity to ingest
    assert f"{numbered} replayed, {rest - numbered} rejected, 0 unknown" in shown.getvalue()


def test_when_a_journey_process_is_killed_the_other_takes_over(several: Sent) -> None:
    """Runs last: what it posts is not in the other installation."""
    first, second = several.at.journeys
    first.kill9()
    tokens = ""
    for n in range(12):  # of many persons, so of all partitions
        body = {"id": f"after-{n}", "type": "page_viewed", "identities": {"customer_id": f"after-{n}"}}
        with closing(several.at.ingests[n % 2].service()) as service:
            tokens += "," + service.send(KEYS[SOURCES[0]], [msgspec.json.encode(body)]).token
    persons = [ask(second, f"/v1/persons/customer_id:after-{n}", after=tokens) for n in range(12)]
    assert [person["touchpoints"] for person in persons] == [1] * 12
    day = {"from": persons[0]["journeys"][0]["started_at"][:10], "to": "2100-01-01", "grain": "none"}
    for metrics in several.at.metrics:
        assert [row["value"] for row in ask(metrics, "/v1/kpis/touchpoints", day, tokens)["rows"]] == [12]
    assert _shares("journey", [second], 1) == [frozenset(range(6))]
    first.start()
    assert frozenset.union(*_shares("journey", [first, second], 2)) == frozenset(range(6))


def _post(at: Installation, bodies: list[dict[str, Any]]) -> str:
    with closing(at.ingests[0].service()) as service:
        receipt = service.send(KEYS[SOURCES[0]], [msgspec.json.encode(body) for body in bodies])
    assert receipt.accepted == len(bodies)
    return receipt.token


def _rejected(ingest: Process, token: str) -> list[dict[str, Any]]:
    answer = ask(ingest, "/v1/rejected", {"limit": 1000}, token)
    assert answer["next_cursor"] is None
    return list(answer["rejected"])


def _bytes_of(row: dict[str, Any]) -> bytes:
    return b64decode(row["body_base64"]) if row["body"] is None else str(row["body"]).encode()


def _counted(process: Process, name: str) -> float:
    with urlopen(f"{process.url}/metrics", timeout=30) as answer:
        return sum(map(float, re.findall(rf"^{name}{{.*}} (\S+)$", answer.read().decode(), re.MULTILINE)))


def _send(at: Installation, year: Year) -> str:
    return send_all(at.ingests, requests_of(year, 100))


def _about(people: list[str], journey: Process, token: str) -> dict[str, Any]:
    """What is told of each person, and all journeys."""
    with closing(journey.service()) as service:
        return {root: _common(service.get(f"/v1/persons/{quote(root)}", None, token)) for root in people}


def _tell(journey: Process, action: str, pair: list[str]) -> dict[str, Any]:
    with closing(journey.service()) as service:
        told: dict[str, Any] = service.post(f"/v1/identities/{action}", {"identities": pair, "reason": "a test", "by": "tests"})
    return told


def _stages(metrics: Sequence[Process], token: str) -> Any:
    """How many people came how far, by each process alike."""
    query = {**YEAR, "as_of": AS_OF, "journeys": "all", "unit": "person"}
    found = [_common(ask(process, "/v1/stages", query, token)) for process in metrics]
    assert found[0] == found[1]
    return found[0]


def _figures(metrics: Process, token: str) -> dict[str, Any]:
    with closing(metrics.service()) as service:
        found = {
            f"{kpi.id} by {by}": service.get(f"/v1/kpis/{kpi.id}", {**YEAR, "as_of": AS_OF, **({"by": by} if by else {})}, token)
            for kpi in KPIS
            for by in map(",".join, (kpi.per, *kpi.dimension_sets))
        }
        for journeys in ("new", "returning", "all"):
            query = {**YEAR, "as_of": AS_OF, "journeys": journeys}
            found[f"stages of {journeys}"] = service.get("/v1/stages", query, token)
            found[f"transitions of {journeys}"] = service.get("/v1/transitions", query, token)
    assert any(row["value"] for answer in found.values() for row in answer.get("rows", []))
    common: dict[str, Any] = _common(found)
    return common


def _common(answer: Any) -> Any:
    """An answer without what each installation makes up by itself; orders of equal rows don't count."""
    if isinstance(answer, dict):
        return {name: _common(value) for name, value in answer.items() if name not in OWN}
    if isinstance(answer, list):
        return [_common(value) for value in answer]
    return answer


def _shares(room: str, processes: list[Process] | Any, holders: int) -> list[frozenset[int]]:
    """The partitions that each process serves, once so many have a share and all partitions are held once."""
    give_up, shares = monotonic() + LEFT_IN_S, list[frozenset[int]]()
    while monotonic() < give_up:
        shares = [_share(room, process) for process in processes]
        if sum(map(bool, shares)) == holders and sum(map(len, shares)) == len(frozenset.union(*shares)) == 6:
            return shares
    return shares


def _share(room: str, process: Process) -> frozenset[int]:
    with urlopen(f"{process.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return frozenset(map(int, re.findall(rf'^waypost_{room}_lag_records{{partition="(\d+)"}}', text, re.MULTILINE)))
