"""A person's journeys, told from the facts alone."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given

from schemas.facts import Fact
from schemas.times import DAY_US, HOUR_US
from schemas.touchpoint import Accepted
from schemas.vocabulary import load
from services.journey import answers
from services.journey.consumer import derivation
from services.journey.domain.describe import Description, describe
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State
from services.journey.store.refolding import key_of
from tests.builders import START_US, body, case, order, survey, touchpoint
from tests.model import Touchpoint
from tests.model.journeys import journeys
from tests.property.test_model_and_domain import facts_of, spread
from tests.property.test_model_journeys import histories

PERSON = UUID(int=7)
TIMEOUT_US = 90 * DAY_US
_derive = derivation(load())


def told(*touchpoints: Accepted) -> Description:
    fold = Fold(PERSON, FoldRules(classify=lambda page, campaign: "direct", timeout_us=TIMEOUT_US), State(), None)
    for derived in sorted((_derive(body(one)) for one in touchpoints), key=key_of):
        fold.advance(derived)
    fold.finish()
    return describe(fact for fact in fold.facts.values() if fact is not None)


def ids(described: Description) -> list[tuple[list[str], list[str], int]]:
    return [
        ([one.order_id for one in it.orders], [one.case_id for one in it.cases], len(it.surveys))
        for it in [*(journey.things for journey in described.journeys), described.outside]
    ]


def test_nobody_has_no_journeys() -> None:
    described = describe([])
    assert (described.journeys, ids(described)) == ([], [([], [], 0)])


def test_a_case_that_opens_while_a_journey_is_open_is_told_in_it() -> None:
    described = told(
        touchpoint("1", 0, "customer_id:c"),
        touchpoint("2", TIMEOUT_US, "customer_id:c", case=case("k"), actor="business"),
    )
    assert ids(described) == [([], ["k"], 0), ([], [], 0)]


def test_what_comes_just_before_a_journey_is_told_in_it() -> None:
    described = told(
        touchpoint("1", 0, "customer_id:c", order=order("o"), actor="system"),
        touchpoint("2", TIMEOUT_US, "customer_id:c"),
    )
    assert ids(described) == [(["o"], [], 0), ([], [], 0)]
    assert described.journeys[0].touchpoints == 2


def test_what_lies_in_no_journey_is_told_outside() -> None:
    described = told(
        touchpoint("1", 0, "customer_id:c", order=order("o"), actor="system"),
        touchpoint("2", HOUR_US, "customer_id:c", survey=survey(), actor="business"),
        touchpoint("3", HOUR_US + TIMEOUT_US + 1, "customer_id:c"),
        touchpoint("4", HOUR_US + 2 * TIMEOUT_US + 2, "customer_id:c", case=case("k"), actor="business"),
    )
    assert ids(described) == [([], [], 0), (["o"], ["k"], 1)]
    assert described.journeys[0].touchpoints == 1


def test_a_journey_is_open_until_the_timeout_has_passed() -> None:
    (journey,) = told(touchpoint("1", 0, "customer_id:c")).journeys
    assert journey.is_open(START_US + TIMEOUT_US)
    assert not journey.is_open(START_US + TIMEOUT_US + 1)


@given(histories())
def test_a_description_says_of_every_journey_what_the_model_finds(history: list[Touchpoint]) -> None:
    history = spread(history)
    facts: list[Fact] = facts_of(history, 10 * DAY_US)
    found = [
        (
            (journey.ended.cohort.started_us, journey.ended.last_us, journey.ended.furthest_stage, journey.ended.current_stage),
            journey.touchpoints,
            [tuple(span) for span in journey.stages],
        )
        for journey in describe(facts).journeys
    ]
    assert found == [
        (
            (journey.started_us, journey.last_us, journey.furthest_stage, journey.current_stage),
            len(journey.members),
            [
                (name, stage.reached_us, stage.left_us, stage.touchpoints)
                for name, stage in journey.stages.items()
                if stage.reached_us is not None or stage.touchpoints
            ],
        )
        for journey in journeys(history, 10 * DAY_US)
    ]


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (19_990_000, "19.99"),
        (20_000_000, "20.00"),
        (0, "0.00"),
        (1, "0.000001"),
        (-1_500_000, "-1.50"),
        (123_456_789_012_345_678, "123456789012.345678"),
        (None, None),
    ],
)
def test_money_is_exact_decimal_text(micros: int | None, text: str | None) -> None:
    assert answers.money(micros) == text
