"""Touchpoints stream through journey and metrics, late, twice, with sign-ins and links, and every KPI is what a plain computation over
the whole set gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.calendar import day_number, day_text
from schemas.commands import Action
from schemas.touchpoint import Campaign, Case, Order, Page, Referral, Review, Survey
from services.metrics.domain.catalogue import KPI_BY_ID, KPIS
from tests.builders import DAY_US, MINUTE_US, START_US, body, link, touchpoint
from tests.model.kpis import Hours, Number, numbers, world
from tests.model.reading import read_all
from tests.property.journey_store import Record
from tests.property.test_store_and_model import decided
from tests.rooms import Rooms, rooms_in

ELSEWHERE = {
    "test_loyalty_and_model": {
        "buyers",
        "repeat_rate",
        "repeat_rate_by_orders",
        "retention_rate",
        "churn_rate",
        "lapsed_people",
        "new_people",
        "reactivated_people",
        "lifetime_value",
        "touchpoints_per_purchase",
        "channels_per_purchase",
        "purchases_over_four_touchpoints",
        "channel_switches",
        "goals_stated",
        "goals_reached",
        "time_to_first_purchase",
        "first_time_buyers",
        "cohort_retention",
        "time_in_stage",
        "median_days_in_stage",
    },
    "test_sequels_and_model": {
        "deflection_rate",
        "recovery_rate",
        "abandoned_after_slow_answer",
        "proactive_share",
        "outreach_effect",
        "csat_change_after_contact",
        "nps_change_after_contact",
        "ces_easy_change_after_contact",
        "conversion_after_contact",
        "retention_after_contact",
    },
    "test_growth_and_model": {
        "experiment_conversion",
        "experiment_excluded",
        "experiment_exposed",
        "experiment_revenue",
        "experiment_time_on_site",
        "recommendation_clicks",
        "recommendation_uptake",
        "recommendations_shown",
        "referral_conversion",
    },
    "test_marketing_paths and test_path_models": {
        kpi.id for kpi in KPIS if kpi.id.startswith(("attribution_", "attributed_revenue_"))
    },
}
"""KPIs whose facts or answers are compared with a whole-set model in another module."""
FIRST_DAY = day_number("2026-01-10")
GAPS_S = [3, 15, 20, 21, 59, 280, 301, 1800, 3600, 86_400, 3 * 86_400, 8 * 86_400]
NAMES = [("customer_id:a",), ("customer_id:b",), ("anonymous_id:v",), ("anonymous_id:v", "customer_id:a"), ("email:e",)]
TOPICS = ["returns", "returns", "delivery", "delivery"]
"""By the case, which names its topic from the first touchpoint on."""
LIVES = [
    ["queued", "answered", "ended", "resolved", "reopened", "resolved", "closed"],
    ["opened", "message", "message", "transferred", "resolved", "resolved"],
    ["queued", "abandoned", "queued", "answered", "ended", "closed"],
    ["opened", "queued", "answered", "transferred", "queued", "answered", "ended", "resolved"],
]
FATES = [["placed"], ["placed", "changed"], ["placed", "cancelled"], ["placed", "refunded", "refunded"], ["placed", "returned"]]
CHANNELS = ["web", "app", "phone", "chat", "email"]
CAMPAIGNS = [Campaign(medium="email"), Campaign(medium="email", name="spring"), Campaign(medium="display", name="spring")]
TELLING: list[dict[str, Any]] = [
    {"type": "referral_sent"},
    {"referral": Referral(code="c"), "stage": "advocacy"},
    {"referral": Referral(code="c"), "stage": "consideration"},
    {"type": "share"},
    {"type": "recipe_shared", "referral": Referral(code="c")},
]
"""How customers tell others, and one who was told."""
HOURS: dict[str, Hours | None] = {
    "": None,
    "mon-fri 09:00-12:30, mon-fri 13:00-17:00, sat 00:00-24:00": {
        **{day: [(540, 750), (780, 1020)] for day in range(5)},
        5: [(0, 1440)],
    },
}
"""Opening hours as they are set, and as the model has them."""


class History:
    """Touchpoints by lot, each of its own time: lives of cases, of orders and of surveys, with steps that are missing and steps too many."""

    def __init__(self, seed: int) -> None:
        self._draw, self.sent = Random(seed), list[bytes]()
        for number in range(4):
            self._follow(self._life(number))
            self._follow([{"order": self._order(number, action)} for action in self._draw.choice(FATES)])
        for number in range(8):
            self._follow([{"survey": self._survey(number)}, self._said(), self._draw.choice(TELLING)])
        self._draw.shuffle(self.sent)

    def batches(self, size: int) -> list[list[Record]]:
        """The first so many as they come, some of them twice, with links in between."""
        coming: list[Record] = list(self.sent[:size])
        coming += self._draw.sample(coming, len(coming) // 8)
        if self._draw.random() < 0.5:
            one, other = self._draw.sample(["customer_id:a", "customer_id:b", "email:e"], 2)
            action: Action = self._draw.choice(["link", "unlink"])
            coming.append(link(one, other, action=action))
        self._draw.shuffle(coming)
        length = self._draw.choice([1, 5, 100])
        return [coming[start : start + length] for start in range(0, len(coming), length)]

    def _follow(self, steps: Sequence[dict[str, Any]]) -> None:
        """One after the other, by a person who now and then goes by another name."""
        draw, at_us = self._draw, self._draw.choice([0, 1, 8, 40]) * DAY_US + len(self.sent) * 7001
        names, channel = draw.choice(NAMES), draw.choice(CHANNELS)
        for step in steps:
            at_us += draw.choice(GAPS_S) * 1_000_000 + 11
            if draw.random() < 0.1:
                names = draw.choice(NAMES)
            late_us, actor = (
                draw.choice([0, 0, MINUTE_US, DAY_US, 60 * DAY_US]),
                draw.choice(["customer", "customer", "business"]),
            )
            stage = draw.choice([None, None, "consideration", "advocacy"])
            came = {"campaign": draw.choice([None, None, *CAMPAIGNS]), "page": draw.choice([None, Page(path="/")])}
            given = {"received_us": at_us + late_us, "actor": actor, "channel": channel, "stage": stage, **came, **step}
            self.sent.append(body(touchpoint(str(len(self.sent)), at_us, *names, **given)))

    def _life(self, number: int) -> list[dict[str, Any]]:
        steps: list[str] = []
        for action in self._draw.choice(LIVES):
            steps += [action] * self._draw.choice([0, 1, 1, 1, 1, 1, 1, 2])
        return [{"case": self._case(number, action)} for action in steps]

    def _case(self, number: int, action: Any) -> Case:
        draw, timed = self._draw, dict[str, Any]()
        if draw.random() < 0.2:
            timed["wait_seconds"] = draw.choice([None, 0.0, 4.9, 20.0, 61.5])
        if draw.random() < 0.2:
            timed[draw.choice(["handle_seconds", "talk_seconds", "wrap_seconds"])] = draw.choice([0.0, 12.5])
        return Case(
            case_id=str(number),
            action=action,
            topic=TOPICS[number],
            agent_id=draw.choice([None, "a-1", "a-2"]),
            leg_id=draw.choice([None, None, None, None, "x"]),
            by=draw.choice([None, None, "agent", "bot"] if action in ("message", "answered") else [None]),
            reason=draw.choice([None, None, None, "complaint", "repeated_information", "damaged"]),
            **timed,
        )

    def _order(self, number: int, action: Any) -> Order:
        return Order(
            order_id=str(number),
            action=self._draw.choice([action, action, action, None]),
            amount=self._draw.choice([None, "10.00", "19.99"]),
            currency=self._draw.choice([None, "EUR", "EUR", "USD"]),
            refund_amount=self._draw.choice([None, None, "5.00"]),
        )

    def _said(self) -> dict[str, Any]:
        review = Review(product_id="p", rating=self._draw.choice([0, 3, 5]), rating_max=self._draw.choice([5, 10]))
        return self._draw.choice([{}, {"review": review}, {"sentiment": self._draw.choice([-0.4, 0.0, 0.75])}])

    def _survey(self, number: int) -> Survey:
        scale: dict[str, Any] = self._draw.choice([{}, {}, {"scale_min": 1, "scale_max": 5}, {"scale_min": 0, "scale_max": 10}])
        return Survey(
            survey_id=self._draw.choice("st"),
            kind=self._draw.choice(["csat", "nps", "ces"]),
            action=self._draw.choice([None, "sent", "answered"]),
            score=self._draw.choice([None, 1, 2, 3, 4, 5, 9, 10]),
            easy=self._draw.choice([None, "low", "high"]),
            **scale,
        )


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms_in(tmp_path_factory.mktemp("rooms")) as rooms:
        yield rooms


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=st.integers(0, 2**32).map(History),
    size=st.integers(1, 60).map(lambda fewer: 61 - fewer),
    first=st.sampled_from([0, -1, 1, 8]),
    days=st.sampled_from([120, 31, 4, 1]),
    as_of=st.sampled_from([10_000 * 86_400, 10_000 * 86_400, 3600, 86_400, 9 * 86_400, 50 * 86_400]),
    hours=st.sampled_from(sorted(HOURS, reverse=True)),
)
def test_every_kpi_is_what_the_whole_set_gives(
    rooms: Rooms, history: History, size: int, first: int, days: int, as_of: int, hours: str
) -> None:
    rooms.clear(hours)
    batches = history.batches(size)
    rooms.take(*batches)
    came = [one for batch in batches for one in batch]
    sent, commands = [one for one in came if isinstance(one, bytes)], [one for one in came if not isinstance(one, bytes)]
    start, as_of_us = FIRST_DAY + first, START_US + as_of * 1_000_000
    known = world(read_all(sent), decided(commands), start * DAY_US, (start + days) * DAY_US, as_of_us)
    whole = known._replace(hours=HOURS[hours])
    for kpi_id, expected in numbers(whole).items():
        kpi = KPI_BY_ID[kpi_id]
        rows = rooms.ask(kpi, (day_text(start), day_text(start + days)), as_of_us, query={"by": ",".join(kpi.per)})
        found = {tuple(row[name] for name in kpi.per): Number(row["numerator"], row["denominator"], row["open"]) for row in rows}
        assert _some(found) == _some(expected), kpi_id


def _some(rows: Any) -> dict[tuple[str | None, ...], Number]:
    return {key: number for key, number in rows.items() if any(number)}


def test_every_kpi_is_modelled() -> None:
    named = [set(numbers(world([], [], 0, 0, 0))), *ELSEWHERE.values()]
    assert set().union(*named) == {kpi.id for kpi in KPIS}
    assert sum(map(len, named)) == len(KPIS), "each in one place"
