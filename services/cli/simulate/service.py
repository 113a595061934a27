"""Scenes of service: a contact by mail, chat or phone from its opening to its resolution, and the surveys after it."""

from __future__ import annotations

from services.cli.simulate.cast import Person
from services.cli.simulate.story import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Story, Who

DESK = "helpdesk"
TOPICS = ("delivery", "returns", "payment", "account", "product")


def contact(story: Story, at_us: int, person: Person) -> None:
    """One case. Only its opening shows who it is; everything later knows just the ticket."""
    rng = story.rng
    channel = rng.choices(("email", "chat", "phone"), (5, 3, 3))[0]
    case = _Case(story, f"t-{rng.getrandbits(40):010x}", channel, person)
    topic = rng.choice(TOPICS)
    at_us = case.step(at_us, "case_opened", "opened", _caller(person, channel), topic=topic, by="customer")
    if channel != "email":
        at_us = case.step(at_us + 2 * SECOND_US, "case_queued", "queued", queue=topic)
        if rng.random() < 0.08:
            case.step(at_us + rng.randrange(3, 20) * MINUTE_US, "case_abandoned", "abandoned")
            return
    at_us = case.step(at_us + _wait(case), "case_answered", "answered", agent_id=f"a{rng.randrange(40)}", team=_team(topic))
    at_us = _talk(case, at_us)
    if rng.random() < 0.12:
        at_us = case.step(at_us + 5 * MINUTE_US, "case_transferred", "transferred", team="second_level")
        at_us = _talk(case, at_us)
    at_us = case.step(at_us + rng.randrange(1, 30) * MINUTE_US, "case_resolved", "resolved")
    if rng.random() < 0.09:
        at_us = case.step(at_us + rng.randrange(3, 60) * HOUR_US, "case_reopened", "reopened", by="customer")
        at_us = case.step(_talk(case, at_us) + HOUR_US, "case_resolved", "resolved")
    _ask_how_it_was(story, at_us, person, case.case_id)


class _Case:
    def __init__(self, story: Story, case_id: str, channel: str, person: Person) -> None:
        self.story, self.case_id, self.channel, self.person = story, case_id, channel, person

    def step(self, at_us: int, act: str, action: str, who: Who | None = None, **fields: str) -> int:
        facet = {"case_id": self.case_id, "action": action, **fields}
        return self.story.tell(at_us, DESK, act, who or self.person.unnamed(), channel=self.channel, case=facet)


def _caller(person: Person, channel: str) -> Who:
    if person.kind != "customer":
        return person.by_mail()
    if person.shares_mailbox or channel == "chat":
        return person.by_account()
    return person.by_phone() if channel == "phone" else person.by_mail()


def _wait(case: _Case) -> int:
    """Minutes on phone and chat, hours by mail."""
    return int(case.story.rng.lognormvariate(4.6 if case.channel != "email" else 9.4, 0.8)) * SECOND_US


def _talk(case: _Case, at_us: int) -> int:
    rng = case.story.rng
    pause_us = 40 * SECOND_US if case.channel != "email" else 3 * HOUR_US
    for turn in range(rng.randrange(1, 6)):
        at_us = case.step(
            at_us + pause_us + rng.randrange(60) * SECOND_US, "case_message", "message", by=("agent", "customer")[turn % 2]
        )
    return at_us


def _team(topic: str) -> str:
    return "billing" if topic in ("payment", "returns") else "care"


def _ask_how_it_was(story: Story, at_us: int, person: Person, case_id: str) -> None:
    """Satisfaction with the case, by mail; every other one is answered."""
    rng = story.rng
    survey = {"survey_id": f"csat-{rng.getrandbits(40):010x}", "kind": "csat", "case_id": case_id}
    at_us = story.tell(
        at_us + HOUR_US, DESK, "survey_sent", person.unnamed(), channel="email", survey={**survey, "action": "sent"}
    )
    if rng.random() < 0.5:
        score = rng.choices((1, 2, 3, 4, 5), (6, 6, 12, 36, 40))[0]
        at_us += rng.randrange(10, 2000) * MINUTE_US
        answer = {**survey, "action": "answered", "score": score, "scale_min": 1, "scale_max": 5}
        story.tell(at_us, DESK, "survey_answered", person.unnamed(), channel="email", survey=answer)


def ask_to_recommend(story: Story, at_us: int, person: Person) -> None:
    """Would you recommend us? Some weeks after an order, by mail."""
    rng = story.rng
    survey = {"survey_id": f"nps-{rng.getrandbits(40):010x}", "kind": "nps"}
    at_us = story.tell(
        at_us + rng.randrange(14, 30) * DAY_US,
        "crm",
        "survey_sent",
        person.by_mail(),
        channel="email",
        survey={**survey, "action": "sent"},
    )
    if rng.random() < 0.45:
        score = rng.choices(range(11), (2, 1, 1, 2, 2, 5, 7, 15, 22, 22, 21))[0]
        at_us += rng.randrange(1, 100) * HOUR_US
        answer = {**survey, "action": "answered", "score": score, "scale_min": 0, "scale_max": 10}
        story.tell(at_us, "crm", "survey_answered", person.by_mail(), channel="email", survey=answer)
