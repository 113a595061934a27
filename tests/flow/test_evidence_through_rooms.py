"""Evidence names who and what a number is made of while people sign in and are erased: asked of the running service, through all rooms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from services.cli.client import Service
from tests.faults.service import embedded
from tests.flow.erasing import erased, sent
from tests.parts.installation import Installation

YEAR = {"from": "2024-01-01", "to": "2025-01-01"}
ANNA, VISITOR, BERT = {"customer_id": "anna"}, {"anonymous_id": "visitor"}, {"customer_id": "bert"}
COUNTS = {
    "people": ("numerator",),
    "orders": ("numerator",),
    "cases_opened": ("numerator",),
    "resolution_rate": ("numerator", "denominator"),
    "csat": ("numerator", "denominator"),
    "contact_rate_per_100_people": ("numerator", "denominator"),
}
"""KPIs whose numbers count people, orders, cases and surveys, one for each row of evidence."""
Row = dict[str, Any]


def body(id: str, day: int, identities: dict[str, str], type: str = "noted", **facets: Any) -> bytes:
    occurred_at = f"2024-06-{day:02}T10:00:00Z"
    return msgspec.json.encode({"id": id, "type": type, "occurred_at": occurred_at, "identities": identities, **facets})


def order(id: str) -> dict[str, Any]:
    return {"type": "order_completed", "order": {"order_id": id, "amount": "10.00", "currency": "EUR"}}


def case(id: str, action: str) -> dict[str, Any]:
    return {"case": {"case_id": id, "action": action}}


def survey(id: str, score: int) -> dict[str, Any]:
    return {"survey": {"survey_id": id, "kind": "csat", "score": score}}


BERTS = [
    body("b1", 1, BERT, **order("o-bert")),
    body("b2", 2, BERT, **case("k-bert", "opened")),
    body("b3", 3, BERT, **survey("s-bert", 5)),
]
ANNAS = [
    body("a1", 4, VISITOR, **case("k-visitor", "opened")),
    body("a2", 5, ANNA, **order("o-anna")),
    body("a3", 6, ANNA, **case("k-anna", "opened")),
    body("a4", 7, ANNA, **case("k-anna", "resolved")),
    body("a5", 8, ANNA, **survey("s-anna", 2)),
]
SIGN_IN = [body("a6", 9, {**ANNA, **VISITOR}, "signed_in")]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with embedded(tmp_path_factory.mktemp("evidence")) as started:
        yield started


class Asking:
    """The numbers and their evidence once what was done so far is visible."""

    def __init__(self, service: Service, *tokens: str) -> None:
        self._service, self.token = service, ",".join(tokens)

    def person_id(self, identity: str) -> str:
        return str(self._service.get(f"/v1/persons/{identity}", None, self.token)["person_id"])

    def evidence(self, kpi_id: str, of: str = "numerator") -> list[Row]:
        """All pages of it, which are as many rows as the KPI's number says."""
        (row,) = self._service.get(f"/v1/kpis/{kpi_id}", YEAR, self.token)["rows"]
        found: list[Row] = []
        cursor: dict[str, str] = {}
        while True:
            page = self._service.get(f"/v1/kpis/{kpi_id}/evidence", {**YEAR, "of": of, "limit": 2, **cursor}, self.token)
            found += page["evidence"]
            assert page["total"] == row[of]
            if page["next_cursor"] is None:
                assert [one["amount"] for one in found] == [1] * row[of], kpi_id
                return found
            cursor = {"cursor": page["next_cursor"]}

    def named(self, kpi_id: str, of: str = "numerator") -> list[tuple[str, str | None]]:
        """Who and what is shown: the person, and the order, case or survey."""
        rows = self.evidence(kpi_id, of)
        return sorted((row["person_id"], row.get("order_id") or row.get("case_id") or row.get("survey_id")) for row in rows)

    def everything(self) -> dict[tuple[str, str], list[tuple[str, str | None]]]:
        return {(kpi_id, of): self.named(kpi_id, of) for kpi_id, sides in COUNTS.items() for of in sides}

    def followed(self, row: Row) -> tuple[Any, Any]:
        """What journey tells under the links of a row."""
        return self._service.get(row["person_url"]), self._service.get(row["url"])


def test_evidence_follows_people_through_sign_in_and_erasure(installation: Installation) -> None:
    only_bert = sent(installation, BERTS)
    with closing(installation.metrics[0].service()) as service:
        bert = Asking(service, only_bert).person_id("customer_id:bert")
        innocent = Asking(service, only_bert).everything()
        assert innocent["orders", "numerator"] == [(bert, "o-bert")]

        apart = Asking(service, only_bert, sent(installation, ANNAS))
        anna, visitor = apart.person_id("customer_id:anna"), apart.person_id("anonymous_id:visitor")
        assert apart.named("people") == sorted([(anna, None), (bert, None), (visitor, None)])
        assert apart.named("orders") == sorted([(anna, "o-anna"), (bert, "o-bert")])
        assert apart.named("cases_opened") == sorted([(anna, "k-anna"), (bert, "k-bert"), (visitor, "k-visitor")])
        assert apart.named("resolution_rate") == [(anna, "k-anna")]
        assert apart.named("csat") == [(bert, "s-bert")]
        assert apart.named("csat", "denominator") == sorted([(anna, "s-anna"), (bert, "s-bert")])

        merged = Asking(service, apart.token, sent(installation, SIGN_IN))
        one = merged.person_id("anonymous_id:visitor")
        assert one == merged.person_id("customer_id:anna")
        assert merged.named("people") == merged.named("contact_rate_per_100_people", "denominator")
        assert merged.named("people") == sorted([(one, None), (bert, None)])
        assert merged.named("cases_opened") == sorted([(one, "k-anna"), (bert, "k-bert"), (one, "k-visitor")])
        for row in merged.evidence("cases_opened"):
            person, cases = merged.followed(row)
            assert person["person_id"] == row["person_id"]
            assert [found["case_id"] for found in cases["cases"]] == [row["case_id"]]

        erasing = service.delete("/v1/persons/customer_id:anna")
        assert erased(service, erasing)["removed"]["journey"]["touchpoints"] == len(ANNAS) + len(SIGN_IN)
        assert Asking(service, merged.token, erasing["token"]).everything() == innocent
