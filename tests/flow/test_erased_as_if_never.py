"""An installation that erased somebody answers as one that never saw what that person did up to then, whatever comes again afterwards
and whatever is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from services.cli.simulate.year import Year
from services.metrics.domain.catalogue import KPIS
from services.shared.errors import Rejected
from tests.faults.service import Service, embedded
from tests.flow.erasing import KEY, erased
from tests.parts.installation import Installation, ask, check, requests_of, send_all, small_year
from tests.parts.processes import Process

YEAR = {"from": "2024-01-01", "to": "2026-01-01", "as_of": "2025-06-01T00:00:00Z"}
OWN = frozenset({"id", "person_id", "journey_id", "person_url", "url", "version", "complete_to", "generation", "next_cursor"})
"""What an installation makes up by itself."""
PERSON = "/v1/persons/customer_id:erased-anna"
Body = dict[str, Any]


def body(id: str, day: int, identities: Mapping[str, str], **more: Any) -> Body:
    occurred_at = f"2024-06-{day:02}T10:00:00Z"
    return {"id": id, "type": "product_viewed", "occurred_at": occurred_at, "identities": dict(identities), **more}


BERT, ANNA, TABLET, VISITOR = (
    {"customer_id": "tablet-bert"},
    {"customer_id": "erased-anna"},
    {"device_id": "tablet"},
    {"anonymous_id": "anna-before"},
)
BERTS = [
    body("b1", 1, {**BERT, **TABLET}),
    body("b2", 2, TABLET),
    body("b3", 9, {**BERT, **TABLET}, case={"case_id": "k-bert", "action": "opened", "topic": "delivery"}),
    body("b4", 10, TABLET),
]
ANNAS = [
    body("a1", 3, {**VISITOR, **TABLET}),
    body("a2", 4, {**ANNA, **VISITOR, **TABLET}, case={"case_id": "k-anna", "action": "opened", "topic": "payment"}),
    body("a3", 5, TABLET),
    body("a4", 6, ANNA, type="order_completed", order={"order_id": "o-anna", "amount": "77.00", "currency": "EUR"}),
    body("a5", 7, VISITOR),
]
Two = tuple[Installation, Installation]


def sent(at: Installation, bodies: list[Body]) -> str:
    with closing(at.ingests[0].service()) as service:
        receipt = service.send(KEY, [msgspec.json.encode(one) for one in bodies])
    assert (receipt.accepted, receipt.refused) == (len(bodies), [])
    return receipt.token


@pytest.fixture(scope="module")
def year() -> Year:
    return small_year(300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """One that sees everybody, and one that never sees Anna."""
    with embedded(tmp_path_factory.mktemp("erasing")) as one, embedded(tmp_path_factory.mktemp("innocent")) as other:
        yield one, other


def common(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: common(value) for name, value in answer.items() if name not in OWN}
    return [common(value) for value in answer] if isinstance(answer, list) else answer


def asked(*by: str) -> dict[str, str]:
    return {**YEAR, **({"by": ",".join(by)} if by else {})}


def answers(process: Process, year: Year, token: str) -> dict[str, Any]:
    """Of every KPI, the stages, every person but the one who is erased, all cases."""
    people = {happening.root for happening in year.happenings} | {"customer_id:tablet-bert", "device_id:tablet"}
    with closing(process.service()) as service:
        found: dict[str, Any] = {
            f"{kpi.id} by {','.join(by)}": service.get(f"/v1/kpis/{kpi.id}", asked(*by), token)
            for kpi in KPIS
            for by in (kpi.per, *kpi.dimension_sets)
        }
        for journeys in ("new", "returning", "all"):
            found[f"stages of {journeys}"] = service.get("/v1/stages", {**YEAR, "journeys": journeys}, token)
        for person in sorted(people):
            found[person] = service.get(f"/v1/persons/{quote(person)}", None, token)
            listed = service.get(f"/v1/persons/{quote(person)}/touchpoints", {"limit": 1000}, token)["touchpoints"]
            found[f"of {person}"] = [(one["source"], one["id"], one["time"], one["stage"], one["identities"]) for one in listed]
        cases = service.get("/v1/cases", {"limit": 1000}, token)["cases"]
    found["cases"] = sorted((one["case_id"], one["opened_at"], one["topic"]) for one in cases)
    return {name: common(answer) for name, answer in found.items()}


def evidence(process: Process, token: str) -> dict[str, list[dict[str, Any]]]:
    """Of the numbers of every KPI that is a sum."""
    with closing(process.service()) as service:
        found = {
            kpi.id: service.get(f"/v1/kpis/{kpi.id}/evidence", {**asked(*kpi.per), "limit": 1000}, token)
            for kpi in KPIS
            if kpi.formula.terms("numerator", "none") is not None
        }
    assert [one["next_cursor"] for one in found.values()] == [None] * len(found)
    return {kpi_id: one["evidence"] for kpi_id, one in found.items()}


def shown(found: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """What the evidence is, whoever it is of, in no order: people have other ids in another installation."""
    return {kpi_id: sorted(map(str, common(rows))) for kpi_id, rows in found.items()}


def test_everything_is_as_if_the_person_had_never_been_seen(two: Two, year: Year) -> None:
    one, other = two
    requests = requests_of(year, 50)
    innocent = ",".join([send_all(other.ingests, requests), sent(other, BERTS)])
    expected = answers(other.metrics[0], year, innocent)
    grounds = shown(evidence(other.metrics[0], innocent))

    token = ",".join([send_all(one.ingests, requests), sent(one, [*BERTS[::2], *ANNAS, *BERTS[1::2]])])
    person_id = ask(one.journeys[0], PERSON, after=token)["person_id"]
    before = evidence(one.metrics[0], token)
    assert person_id in {row["person_id"] for row in before["orders"]}
    assert shown(before)["gross_revenue"] != grounds["gross_revenue"]
    berts = ask(one.journeys[0], "/v1/persons/customer_id:tablet-bert", after=token)["touchpoints"]
    assert berts == expected["customer_id:tablet-bert"]["touchpoints"] == 4
    with closing(one.journeys[0].service()) as service:
        erasing = service.delete(PERSON)
        assert erased(service, erasing)["removed"]["journey"]["touchpoints"] == len(ANNAS)
    token = f"{token},{erasing['token']}"
    assert answers(one.metrics[0], year, token) == expected

    again = ",".join([send_all(one.ingests, requests), sent(one, [*ANNAS[::-1], *BERTS]), token])
    assert answers(one.metrics[0], year, again) == expected
    running = one.journeys[0]
    assert isinstance(running, Service)
    for room in ("journey", "metrics"):
        done = running.run("rebuild", room)
        assert done.code == 0, done.output
    late = sent(one, [body("a6", 6, ANNA), body("a7", 8, VISITOR), body("a8", 4, {**ANNA, **TABLET})])
    assert answers(one.metrics[0], year, f"{late},{again}") == expected
    assert shown(evidence(one.metrics[0], f"{late},{again}")) == grounds
    with closing(one.journeys[0].service()) as service:
        assert service.get(f"/v1/erasures/{erasing['id']}", after=late)["refused_since"] == len(ANNAS) + 3
        for identity, code in ((PERSON, "unknown_person"), (f"/v1/persons/person_id:{person_id}", "erased_person")):
            with pytest.raises(Rejected) as refused:
                service.get(identity)
            assert refused.value.code == code

    now = sent(one, [{"id": "a9", "type": "product_viewed", "identities": {**ANNA, **VISITOR}}])
    back = ask(one.journeys[0], PERSON, after=now)
    assert (back["touchpoints"], back["person_id"] == person_id) == (1, False)
    for room in ("journey", "metrics"):
        assert check(one.journeys[0], room)[1:] == (0, [])
