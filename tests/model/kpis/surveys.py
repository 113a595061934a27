"""Surveys: an answer counts if it has a score on its scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tests.model.journeys import is_own
from tests.model.kpis.world import Number, Rows, World, one

USUAL = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}
Survey = dict[str, Any]


def surveys(world: World) -> Mapping[str, Rows]:
    csat, nps, ces = (list(answers(world, kind)) for kind in ("csat", "nps", "ces"))
    satisfied = sum(4 * (score - low) >= 3 * (high - low) for score, low, high, _ in csat)
    rated = [score for score, low, high, _ in nps if low in (0, 1) and high == 10]
    directed = [(score, low, high, easy) for score, low, high, easy in ces if easy is not None]
    easy_ones = sum(is_easy(*answer) for answer in directed)
    return {
        "csat": one(satisfied, len(csat)),
        "csat_mean": means(((named(low, high),), score) for score, low, high, _ in csat),
        "nps": one(sum(score >= 9 for score in rated) - sum(score <= 6 for score in rated), len(rated)),
        "ces": means(((named(low, high), easy or "unknown"), score) for score, low, high, easy in ces),
        "ces_easy": one(easy_ones, len(directed)),
        "survey_response_rate": response_rate(world),
    }


def answers(world: World, kind: str) -> Iterator[tuple[Fraction, Fraction, Fraction, str | None]]:
    """Score, the scale's ends, and which end is easy."""
    for _, touchpoint in world.own():
        survey = touchpoint["survey"]
        if survey is None or survey["kind"] != kind or action(survey) != "answered" or not world.holds(touchpoint["time_us"]):
            continue
        low, high = (
            Fraction(survey.get(name, usual)) for name, usual in zip(("scale_min", "scale_max"), USUAL[kind], strict=True)
        )
        if survey.get("score") is not None and low <= Fraction(survey["score"]) <= high:
            yield Fraction(survey["score"]), low, high, survey.get("easy")


def action(survey: Survey) -> str:
    return str(survey.get("action") or ("answered" if survey.get("score") is not None else "sent"))


def is_easy(score: Fraction, low: Fraction, high: Fraction, easy: str | None) -> bool:
    """At most a third of the way from the easy end."""
    return (score - low if easy == "low" else high - score) <= (high - low) / 3


def means(scored: Iterator[tuple[tuple[str, ...], Fraction]]) -> Rows:
    """The sum in thousandths, and how many, for each scale."""
    found: defaultdict[tuple[str | None, ...], list[Fraction]] = defaultdict(list)
    for scale, score in scored:
        found[scale].append(score)
    return {scale: Number(int(1000 * sum(scores)), len(scores)) for scale, scores in found.items()}


def named(low: Fraction, high: Fraction) -> str:
    return f"{low}–{high}"


def response_rate(world: World) -> Rows:
    """A sending is answered if the person's next touchpoint about that survey is an answer."""
    sent = answered = 0
    for history in world.people.values():
        about = [touchpoint for touchpoint in history if is_own(touchpoint) and touchpoint["survey"] is not None]
        for i, touchpoint in enumerate(about):
            if action(touchpoint["survey"]) == "sent" and world.holds(touchpoint["time_us"]):
                later = [
                    one["survey"] for one in about[i + 1 :] if one["survey"]["survey_id"] == touchpoint["survey"]["survey_id"]
                ]
                sent, answered = sent + 1, answered + (bool(later) and action(later[0]) == "answered")
    return one(answered, sent)
