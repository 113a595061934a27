"""What follows what, worked out from a person's whole history: articles and cases, bad experiences and what makes them good, slow
answers and the customer's next word, outreach and the cases around it.

A sequel is a dict: `kind`, `ref` (source/id of what brought it), `at_us`, `followed_us` (None: not in time), and what only its kind has.
Cases are told from the actions opened, message, answered, resolved, reopened, closed and compensated, without legs of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model import Touchpoint
from tests.model.journeys import DAY_US, STAGES, TIMEOUT_US, is_own, journeys

Sequel = dict[str, Any]
MINUTE_US = 60_000_000
WITHIN_US = {"helped": DAY_US, "bad": 90 * DAY_US, "slow": 7 * DAY_US, "reached": 7 * DAY_US}
BY = {"helped": {"case"}, "bad": {"compensated", "satisfied", "ordered"}, "slow": {"spoke"}, "reached": {"asked"}}


def sequels(history: Sequence[Touchpoint]) -> list[Sequel]:
    """All of a person whose history (with what others did to the person's things) is given in order."""
    found = []
    for place, touchpoint in enumerate(history):
        for one in begun(history[: place + 1]):
            given = {"ref": f"{touchpoint['source']}/{touchpoint['id']}", "at_us": touchpoint["time_us"], "followed_us": None}
            until_us = touchpoint["time_us"] + WITHIN_US[one["kind"]]
            for after in range(place + 1, len(history)):
                if history[after]["time_us"] <= until_us and BY[one["kind"]] & events(history[: after + 1]):
                    given["followed_us"] = history[after]["time_us"]
                    break
            found.append(one | given)
    return found


def events(history: Sequence[Touchpoint]) -> set[str]:
    """What the last touchpoint of a history brings that something may have waited for."""
    last, happened = history[-1], set()
    if is_own(last):
        if last["actor"] == "customer":
            happened.add("spoke")
        if last["order"] and not any(same(one, last, "order") for one in history[:-1]):
            happened.add("ordered")
        if satisfaction(last) == "satisfied":
            happened.add("satisfied")
    life = case_of(history)
    if len(life) == 1 and life[0] is last:
        happened |= {"case", "asked"} if last["actor"] == "customer" else {"case"}
    if life and last["case"]["action"] == "compensated":
        happened.add("compensated")
    return happened


def begun(history: Sequence[Touchpoint]) -> list[Sequel]:
    """What begins with the last touchpoint of a history."""
    last = history[-1]
    found: list[Sequel] = []
    if is_own(last):
        if satisfaction(last) == "unsatisfied":
            found.append({"kind": "bad", "experience": "unsatisfied"})
        visit = visit_of(history)
        if last["article"] and visit and not any(one["article"] for one in visit[:-1]):
            found.append({"kind": "helped"})
        is_outreach = last["outreach"] and last["actor"] != "customer"
        if is_outreach and not any(is_own(one) and same_outreach(one, last) for one in history[:-1]):
            found.append({"kind": "reached", "before_us": asked_before(history)})
    if life := case_of(history):
        found += of_case(life, history)
    return found


def of_case(life: Sequence[Touchpoint], history: Sequence[Touchpoint]) -> list[Sequel]:
    """What the last touchpoint of a case begins."""
    found: list[Sequel] = []
    last, earlier = life[-1], life[:-1]
    if last["case"].get("reason") == "complaint" and not any(one["case"].get("reason") == "complaint" for one in earlier):
        found.append({"kind": "bad", "experience": "complaint"})
    if reopenings(life) > reopenings(earlier):
        found.append({"kind": "bad", "experience": "reopened"})
    if last["case"]["action"] == "answered" and not any(one["case"]["action"] == "answered" for one in earlier):
        openings = [one["time_us"] for one in earlier if one["case"]["action"] == "opened"]
        since_us = openings[-1] if openings else life[0]["time_us"]
        if (last["time_us"] - since_us) // 1000 > 300_000:
            found.append({"kind": "bad", "experience": "waited"})
    is_first_response = is_response(last) and not any(map(is_response, earlier))
    if is_first_response and last["time_us"] - life[0]["time_us"] > 5 * MINUTE_US and is_before_purchase(history):
        found.append({"kind": "slow"})
    return found


def is_response(touchpoint: Touchpoint) -> bool:
    action, by = touchpoint["case"]["action"], touchpoint["case"].get("by")
    return action == "answered" or (action == "message" and (by == "agent" or (by is None and touchpoint["actor"] == "business")))


def is_before_purchase(history: Sequence[Touchpoint]) -> bool:
    """Whether the journey that is open now has not got to purchase."""
    known = journeys(history)
    if not known or history[-1]["time_us"] > known[-1].last_us + TIMEOUT_US:
        return False
    return STAGES.index(known[-1].furthest_stage) < STAGES.index("purchase")


def reopenings(life: Iterable[Touchpoint]) -> int:
    """How often a case was reopened: by name, or by a resolution over a minute after the one that stands."""
    resolved_us, count = None, 0
    for touchpoint in life:
        action, at_us = touchpoint["case"]["action"], touchpoint["time_us"]
        if action == "reopened" and resolved_us is not None:
            resolved_us, count = None, count + 1
        elif action == "resolved":
            if resolved_us is None:
                resolved_us = at_us
            elif at_us - resolved_us > MINUTE_US:
                resolved_us, count = at_us, count + 1
    return count


def case_of(history: Sequence[Touchpoint]) -> list[Touchpoint]:
    """The touchpoints that count in the case of the last one: none if it isn't about one, or about somebody else's."""
    last = history[-1]
    about = [one for one in history if one["case"] and last["case"] and same(one, last, "case")]
    if not about or not is_own(about[0]):
        return []
    name = f"case:{last['system']}/{last['case']['case_id']}"
    life = [one for one in about if is_own(one) or name in one["amends"]]
    return life if life[-1] is last else []


def asked_before(history: Sequence[Touchpoint]) -> int | None:
    """When the newest case was opened by the customer in the week before the last touchpoint."""
    last, times = history[-1], []
    for place, one in enumerate(history[:-1]):
        if last["time_us"] - 7 * DAY_US <= one["time_us"] < last["time_us"] and "asked" in events(history[: place + 1]):
            times.append(one["time_us"])
    return max(times, default=None)


def visit_of(history: Sequence[Touchpoint]) -> list[Touchpoint]:
    """The visit that the customer's last touchpoint belongs to, up to it."""
    last = history[-1]
    if last["actor"] != "customer" or last["channel"] not in ("web", "app", "store"):
        return []
    visit: list[Touchpoint] = []
    for one in history:
        if is_own(one) and one["actor"] == "customer" and one["channel"] == last["channel"]:
            visit = [*visit, one] if visit and one["time_us"] - visit[-1]["time_us"] <= 30 * MINUTE_US else [one]
    return visit


def satisfaction(touchpoint: Touchpoint) -> str | None:
    """Of an answer to a satisfaction survey on 1 to 5."""
    survey = touchpoint["survey"]
    if not survey or survey["kind"] != "csat" or survey.get("score") is None or survey.get("action") == "sent":
        return None
    return "satisfied" if survey["score"] >= 4 else "unsatisfied" if survey["score"] <= 2 else None


def same(one: Touchpoint, other: Touchpoint, facet: str) -> bool:
    """Whether two touchpoints are about one order or case."""
    if not one[facet] or not other[facet]:
        return False
    return bool((one["system"], one[facet][f"{facet}_id"]) == (other["system"], other[facet][f"{facet}_id"]))


def same_outreach(one: Touchpoint, other: Touchpoint) -> bool:
    is_one = one["outreach"] and one["actor"] != "customer"
    return bool(is_one and one["outreach"]["outreach_id"] == other["outreach"]["outreach_id"])


def pairs(history: Sequence[Touchpoint], kind: str) -> list[tuple[int, int, int, str]]:
    """Of each answer to a kind of survey that another came before, with a case of the person opened between: when, the score, the one before,
    and the channel of the newest such case."""
    found, before = [], None
    opened: list[Touchpoint] = []
    for place, touchpoint in enumerate(history):
        if "case" in events(history[: place + 1]):
            opened.append(touchpoint)
        survey = touchpoint["survey"]
        if is_own(touchpoint) and survey and survey["kind"] == kind and survey.get("score") is not None:
            if before is not None and opened:
                found.append((touchpoint["time_us"], survey["score"], before, opened[-1]["channel"]))
            before, opened = survey["score"], []
    return found


def contacts(history: Sequence[Touchpoint]) -> list[str | None]:
    """How the person's last contact was, after each touchpoint of a history."""
    found: list[str | None] = []
    for place in range(len(history)):
        until = history[: place + 1]
        new = [one["kind"] for one in begun(until)]
        if "bad" in new:
            found.append("bad")
        elif "satisfied" in events(until) or went_well(until):
            found.append("good")
        else:
            found.append(found[-1] if found else None)
    return found


def went_well(history: Sequence[Touchpoint]) -> bool:
    """Whether the last touchpoint resolves a case that never brought a bad experience."""
    life = case_of(history)
    if not life or history[-1]["case"]["action"] != "resolved" or reopenings(life):
        return False
    if any(one["case"]["action"] == "resolved" for one in life[:-1]):
        return False
    return not any(one["kind"] == "bad" for n in range(len(life)) for one in of_case(life[: n + 1], history))


def by_month(history: Sequence[Touchpoint]) -> dict[str, tuple[str | None, str | None]]:
    """By the first active day of each month (UTC): how the last contact was then, and when the active month before it began."""
    after, found = contacts(history), dict[str, tuple[str | None, str | None]]()
    month, before = "", None
    for place, one in enumerate(history):
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one["time_us"])).date().isoformat()
        if is_own(one) and one["actor"] == "customer" and day[:7] != month:
            now = after[place - 1] if place else None
            found[day], month, before = (now, before), day[:7], now
    return found


def by_journey(history: Sequence[Touchpoint]) -> dict[int, tuple[str | None, bool]]:
    """By the start of each new journey: how the last contact was before it reached purchase, or while it was open; and whether it did."""
    after, found = contacts(history), dict[int, tuple[str | None, bool]]()
    for place, one in enumerate(history):
        known = journeys(history[: place + 1])
        now = known[-1] if known else None
        if now is None or now.entry_stage != "awareness" or found.get(now.started_us, (None, False))[1]:
            continue
        before = after[place - 1] if place else None
        if now.started_us not in found:
            found[now.started_us] = (before, False)
        if is_own(one) and STAGES.index(now.furthest_stage) >= STAGES.index("purchase"):
            found[now.started_us] = (found[now.started_us][0], True)
        elif one["time_us"] <= now.last_us + TIMEOUT_US:
            found[now.started_us] = (after[place], False)
    return found
