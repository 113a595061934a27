"""An erasure is finished whenever processes are killed in the middle of it: its receipt becomes complete, everywhere nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from schemas import tokens
from schemas.commands import Command
from schemas.times import format_time
from schemas.topics import COMMANDS
from services.shared.bus import Bus, Outgoing
from services.shared.bus.embedded import EmbeddedBus
from services.shared.bus.kafka import KafkaBus
from services.shared.clock import system_clock
from tests.faults.service import KEY, SOURCE, Service, distributed, embedded, service
from tests.flow.erasing import erased
from tests.parts.installation import Installation, ask, check
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres

ROUNDS = ("journey.committed", "gone.published", "nulls.published", "cleaning.applied")
OTHER = {"id": "other", "type": "page_viewed", "identities": {"customer_id": "other"}}


def live(at: Installation, who: str) -> str:
    """Two touchpoints of somebody, and one that is refused."""
    identities = {"customer_id": who}
    order = {"order_id": f"o-{who}", "amount": "10.00", "currency": "EUR"}
    bodies: list[dict[str, Any]] = [
        {"id": f"1-{who}", "type": "page_viewed", "identities": {**identities, "anonymous_id": f"v-{who}"}},
        {"id": f"2-{who}", "type": "order_completed", "identities": identities, "order": order},
        {"id": f"3-{who}", "type": "page_viewed", "identities": identities, "occurred_at": "yesterday"},
    ]
    with closing(at.ingests[0].service()) as client:
        receipt = client.send(KEY, [msgspec.json.encode(body) for body in bodies])
        assert (receipt.accepted, len(receipt.refused)) == (2, 1)
        assert len(client.get("/v1/rejected", None, receipt.token)["rejected"]) == 1
    return receipt.token


def command(open_bus: Callable[[], Bus], who: str) -> dict[str, str]:
    """Publish what DELETE publishes, whoever is up."""
    id = f"erase-{who}"
    told = Command(
        id=id,
        action="erase",
        identities=[f"customer_id:{who}", f"anonymous_id:v-{who}"],
        by="ann",
        at=format_time(system_clock()),
    )
    with closing(open_bus()) as bus, closing(bus.publisher()) as publisher:
        (position,) = publisher.publish([Outgoing(COMMANDS, told.identities[0].encode(), msgspec.json.encode(told))]).result(30)
    return {"id": id, "token": tokens.encode([(COMMANDS, position.partition, position.offset)])}


def die_in_the_middle(at: Installation, open_bus: Callable[[], Bus], who: str, points: Mapping[Service, str]) -> None:
    """Somebody is erased while each of these processes dies at its point; then they are started again."""
    ask(at.metrics[0], "/v1/check/metrics", after=live(at, who))
    for process in points:
        process.stop()
    erasing = command(open_bus, who)
    with ThreadPoolExecutor(len(points)) as pool:
        list(pool.map(_die_and_live, points.items()))
    check_erased(at, erasing)


def _die_and_live(one: tuple[Service, str]) -> None:
    process, point = one
    process.start_to_die(point)
    process.died()
    process.start()


def check_erased(at: Installation, erasing: dict[str, str]) -> None:
    with closing(at.journeys[0].service()) as client:
        removed = erased(client, erasing)["removed"]
    assert removed["journey"]["touchpoints"] == 2
    assert removed["metrics"]["months"] == removed["journeys"]["gone"] == removed["journeys"]["nulls"] == 1
    assert removed["ingest"] == {"rejected_records": 1}
    with closing(at.ingests[0].service()) as client:
        assert client.get("/v1/rejected")["rejected"] == []
    assert at.stored() == [(SOURCE, "other")]
    for room, process in (("journey", at.journeys[0]), ("metrics", at.metrics[0])):
        assert check(process, room)[1:] == (0, []), room


def send_other(at: Installation) -> None:
    with closing(at.ingests[0].service()) as client:
        client.send(KEY, [msgspec.json.encode(OTHER)])


def test_embedded(tmp_path: Path) -> None:
    with embedded(tmp_path) as at:
        send_other(at)
        for point in ROUNDS:
            die_in_the_middle(
                at, lambda: EmbeddedBus(tmp_path / "data" / "bus.db"), point.replace(".", "-"), {service(at.journeys[0]): point}
            )


def test_distributed(kafka: Kafka, postgres: Postgres, tmp_path: Path) -> None:
    """First through one journey of two, read from the other; then with deaths in every room."""
    with distributed(kafka, postgres.new_database(), tmp_path, {"journey": 2}) as at:
        send_other(at)
        ask(at.metrics[0], "/v1/check/metrics", after=live(at, "anna"))
        with closing(at.journeys[1].service()) as client:
            check_erased(at, client.delete("/v1/persons/customer_id:anna"))
        at.journeys[1].stop()
        journey, ingest, metrics = service(at.journeys[0]), service(at.ingests[0]), service(at.metrics[0])
        deaths: Sequence[Mapping[Service, str]] = (
            {journey: "journey.committed", ingest: "cleaning.applied"},
            {journey: "gone.published", metrics: "metrics.committed"},
        )
        for number, points in enumerate(deaths):
            die_in_the_middle(at, lambda: KafkaBus(kafka.bootstrap), f"bert-{number}", points)
