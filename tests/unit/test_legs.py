"""The legs of a case: who waited how long, and what agents worked on it."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

from schemas.facts import CaseFact, Leg
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State
from tests.builders import DAY_US, START_US, body, case, read, touchpoint

SECOND_US = 1_000_000
_ids = count()


def folded(*steps: tuple[int, str, dict[str, Any]]) -> dict[str, CaseFact]:
    """The cases of one person's steps, given as (second, action, further fields of the facet and of the touchpoint)."""
    fold = Fold(UUID(int=1), FoldRules(lambda page, campaign: "direct"), State(), None)
    for second, action, more in steps:
        facet = {key: value for key, value in more.items() if key not in ("case_id", "channel")}
        given = case(more.get("case_id", "1"), action, **facet)
        sent = touchpoint(str(next(_ids)), second * SECOND_US, "email:e", case=given, channel=more.get("channel", "phone"))
        fold.advance(read(body(sent)))
    fold.finish()
    return {fact.case_id: fact for fact in fold.facts.values() if isinstance(fact, CaseFact)}


def legs(*steps: tuple[int, str, dict[str, Any]]) -> list[Leg]:
    return folded(*steps)["1"].legs


def test_a_leg_waits_from_the_queue_to_the_answer_and_is_handled_until_it_ends() -> None:
    (leg,) = legs((0, "opened", {}), (5, "queued", {"queue": "sales"}), (65, "answered", {"agent_id": "a"}), (365, "ended", {}))
    assert (leg.wait_ms, leg.handle_ms, leg.queue, leg.agent_id) == (60_000, 300_000, "sales", "a")


def test_without_a_queue_it_waits_from_the_opening() -> None:
    (leg,) = legs((0, "opened", {}), (65, "answered", {}))
    assert leg.wait_ms == 65_000


def test_the_first_leg_with_an_id_waits_from_the_opening_of_its_case_and_a_later_one_is_unknown() -> None:
    _, first, second = legs(
        (0, "opened", {}), (9, "answered", {"leg_id": "a"}), (20, "ended", {"leg_id": "a"}), (90, "answered", {"leg_id": "b"})
    )
    assert (first.wait_ms, second.wait_ms) == (9_000, None)


def test_a_bots_answer_ends_no_wait() -> None:
    (leg,) = legs((0, "queued", {}), (1, "answered", {"by": "bot"}), (31, "answered", {"by": "agent"}))
    assert leg.wait_ms == 31_000


def test_a_wait_that_is_sent_replaces_the_difference_and_null_makes_it_unknown() -> None:
    (sent,) = legs((0, "queued", {}), (65, "answered", {"wait_seconds": 2.5}))
    (unknown,) = legs((0, "queued", {}), (65, "answered", {"wait_seconds": None}))
    assert (sent.wait_ms, unknown.wait_ms) == (2_500, None)


def test_handling_is_what_is_sent_and_never_guessed_off_voice_and_chat() -> None:
    (talk,) = legs((0, "answered", {}), (99, "ended", {"talk_seconds": 50, "hold_seconds": 10.5, "wrap_seconds": 3}))
    (whole,) = legs((0, "answered", {}), (99, "ended", {"handle_seconds": 7, "talk_seconds": 50}))
    (mail,) = legs((0, "answered", {"channel": "email"}), (99, "ended", {"channel": "email"}))
    assert (talk.handle_ms, whole.handle_ms, mail.handle_ms) == (63_500, 7_000, None)


def test_who_hangs_up_is_not_answered_any_more_and_calls_again_on_another_leg() -> None:
    first, second = legs((0, "queued", {}), (3, "abandoned", {}), (4, "answered", {}), (100, "ended", {}))
    assert (first.wait_ms, first.abandoned_us, first.answered_us) == (3_000, START_US + 3 * SECOND_US, None)
    assert (second.wait_ms, second.handle_ms) == (None, 96_000)


def test_a_case_knows_the_next_one_and_after_its_resolution_the_next_on_its_topic() -> None:
    day = DAY_US // SECOND_US
    found = folded(
        (0, "opened", {"case_id": "1", "topic": "returns"}),
        (1, "opened", {"case_id": "2", "topic": "returns"}),
        (day, "resolved", {"case_id": "1"}),
        (2 * day, "opened", {"case_id": "3"}),
        (3 * day, "opened", {"case_id": "4", "topic": "returns"}),
        (4 * day, "message", {"case_id": "3", "topic": "returns"}),
    )
    assert [(found[id].next_us, found[id].next_on_topic_us) for id in "1234"] == [
        (START_US + SECOND_US, START_US + 2 * DAY_US),
        (START_US + 2 * DAY_US, None),
        (START_US + 3 * DAY_US, None),
        (None, None),
    ]


def test_a_call_is_handled_until_it_ends_never_until_its_case_is_resolved() -> None:
    (open_leg,) = legs((0, "queued", {}), (5, "answered", {}), (100, "resolved", {}))
    (ended,) = legs((0, "queued", {}), (5, "answered", {}), (100, "resolved", {}), (125, "ended", {}))
    assert (open_leg.ended_us, open_leg.handle_ms, ended.handle_ms) == (None, None, 120_000)
