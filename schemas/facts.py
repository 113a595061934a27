"""What a journey states and KPIs count: the records of the topic `journeys`.

A fact is self-contained: its contribution to any KPI depends on nothing else. Times are whole microseconds since 1970
(`…_us`), durations whole milliseconds (`…_ms`), money whole micro-units (`…_micros`). `at_us` is the first moment at which a fact
has an effect; one part of a fact that takes effect later carries its own time (an order's cancellation, a case's resolution).
`key` is unique among the facts of one person and month. A fact is published in the month (installation time zone) of its `at_us`,
`Ended` in that of its `last_us`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from schemas.touchpoint import Actor, Stage

Unit = Literal["journey", "person"]
Contact = Literal["good", "bad"]
"""How the last contact was: bad after a bad experience (`Bad`), good after a satisfied answer, or a resolution of a case without one."""


class Cohort(Struct, array_like=True, frozen=True, gc=False):
    """The journey that a fact belongs to – or, where `unit` is person, the person's whole history as one.

    `channel`, `source`, `campaign` and `marketing_channel` are those of its first customer touchpoint.
    """

    id: str
    started_us: int
    entry_stage: Stage
    channel: str
    source: str
    campaign: str | None = None
    marketing_channel: str | None = None


class Item(Struct, array_like=True, frozen=True, gc=False):
    """One touchpoint in a `Day`. `stage` counts it in the volume and in its journey; None: in no journey (yet) and without a stage.

    `journey` is the index of its journey in `Day.journeys`, -1 if it is in none (yet). `person_stage` counts it in the person's
    whole history; None: before the person's first customer touchpoint.
    """

    at_us: int
    type: str
    channel: str
    source: str
    actor: Actor
    stage: Stage | None
    journey: int
    person_stage: Stage | None


class Working(Struct, array_like=True, frozen=True, gc=False):
    """An agent works on a case of the person at `at_us`, on a channel."""

    at_us: int
    channel: str
    agent_id: str


class _Fact(Struct, tag_field="kind", omit_defaults=True, kw_only=True, frozen=True):
    pass


class Day(_Fact, tag="day", kw_only=True, frozen=True):
    """All touchpoints of one person on one calendar day. `active`: the customer did something; `previous_active` is the day before
    this on which that was so (YYYY-MM-DD), None if this is the first (also where `active` is false). `channel_before` is the channel of
    the customer's newest touchpoint before this day in the first of the day's journeys. `agents` has the agents who
    worked on a case, once for each hour of the clock and channel. On the first active day of a month, `contact` is how the last contact
    before it was, and `contact_before` what it was on the first active day of the active month before."""

    day: str
    at_us: int
    active: bool = False
    previous_active: str | None = None
    items: list[Item]
    journeys: list[Cohort] = []
    person: Cohort | None = None
    channel_before: str | None = None
    agents: list[Working] = []
    contact: Contact | None = None
    contact_before: Contact | None = None

    @property
    def key(self) -> str:
        return f"day/{self.day}"


class Step(_Fact, tag="step", kw_only=True, frozen=True):
    """A journey (or person) reaches `to_stage`. `from_stage` None: it starts there. `skipped` were jumped over: reached and left at
    `at_us`, without time. `time_ms` is the time since `from_stage` was reached; None if that stage was not touched by then, or at the start.

    `since_us` is when `from_stage` was reached. `adopted` counts, by stage, touchpoints of others that came before the journey and belong to
    it from its start on.
    """

    unit: Unit
    cohort: Cohort
    at_us: int
    from_stage: Stage | None
    to_stage: Stage
    skipped: list[Stage] = []
    time_ms: int | None = None
    since_us: int | None = None
    adopted: dict[Stage, int] = {}
    contact: Contact | None = None

    @property
    def key(self) -> str:
        return f"step/{self.unit}/{self.cohort.id}/{self.to_stage}"


class ContactTurn(_Fact, tag="contact", kw_only=True, frozen=True):
    """The last contact of the person becomes `contact`, in a new journey that is open and has not reached purchase. `ref` is the
    touchpoint that did it, as SOURCE/ID."""

    cohort: Cohort
    at_us: int
    before: Contact | None
    contact: Contact
    ref: str

    @property
    def key(self) -> str:
        return f"contact/{self.at_us}/{self.before}-{self.contact}/{self.ref}"


class Touched(_Fact, tag="touched", kw_only=True, frozen=True):
    """The first touchpoint of a journey (or person) that counts in `stage`."""

    unit: Unit
    cohort: Cohort
    at_us: int
    stage: Stage

    @property
    def key(self) -> str:
        return f"touched/{self.unit}/{self.cohort.id}/{self.stage}"


class Transition(_Fact, tag="transition", kw_only=True, frozen=True):
    """Two touchpoints of one journey, one after the other, that count in different stages. `from_stage` None: the journey's first.

    `n` numbers the transitions of one person and month.
    """

    cohort: Cohort
    at_us: int
    n: int
    from_stage: Stage | None
    to_stage: Stage

    @property
    def key(self) -> str:
        return f"transition/{self.n}"


class Ended(_Fact, tag="ended", kw_only=True, frozen=True):
    """A journey will be over at `at_us` = `last_us` + timeout, unless the customer speaks again before (then this fact is replaced).

    `reached_us` is when it reached `furthest_stage` (None in facts of versions before there was this, until journeys are rebuilt);
    `first_id` is the touchpoint that started it, as SOURCE/ID.
    """

    cohort: Cohort
    at_us: int
    last_us: int
    furthest_stage: Stage
    reached_us: int | None = None
    current_stage: Stage
    first_id: str

    @property
    def key(self) -> str:
        return f"ended/{self.cohort.id}"


class Visit(_Fact, tag="visit", kw_only=True, frozen=True):
    """Customer touchpoints on one of the channels web, app and store with no gap over 30 minutes. `article_us`: the first help article."""

    at_us: int
    ended_us: int
    channel: str
    source: str
    touchpoints: int
    stage: Stage
    marketing_channel: str | None = None
    campaign: str | None = None
    first_id: str
    article_us: int | None = None

    @property
    def key(self) -> str:
        return f"visit/{self.channel}/{self.at_us}/{self.first_id}"


class Amount(Struct, array_like=True, frozen=True, gc=False):
    """From `at_us` on an order is worth this; None: unknown."""

    at_us: int
    micros: int | None
    currency: str | None


class Refund(Struct, array_like=True, frozen=True, gc=False):
    """Money given back at `at_us`; `micros` None: all of it, or unknown."""

    at_us: int
    micros: int | None


class Touch(NamedTuple):
    """What brought the person at `at_us`: the marketing channel, and the campaign if there was one."""

    at_us: int
    marketing_channel: str
    campaign: str | None


class Place(Struct, array_like=True, frozen=True, gc=False):
    """Where an order stands among the person's that stand, from `at_us` on: when the first one, the first one in the order's currency
    (None: it is that one), the one before it, the one before that, and the newest one on a day before the previous one's day were placed.
    None: there is none."""

    at_us: int
    first_us: int
    first_in_currency_us: int | None
    previous_us: int | None
    second_us: int | None
    day_before_us: int | None


class OrderFact(_Fact, tag="order", kw_only=True, frozen=True):
    """An order, with all its amendments. `stage` is purchase for the person's first order that stands when it is placed, else loyalty,
    unless the sender gave another. `previous_us` is when the person's order before this one that stands was placed. `path` are the last
    50 touches in the lookback before it, `first_touch` the first of all where there were more. `places` has none for an order that was
    cancelled when it was placed; a cancelled order has the place that it had last. `began_us` is the person's first touchpoint;
    `touchpoints_before` and their distinct `channels_before` are those since the journey's start and the person's order before it,
    without any about an order."""

    system: str
    order_id: str
    at_us: int
    stage: Stage
    channel: str
    source: str
    amounts: list[Amount]
    refunds: list[Refund] = []
    cancelled_us: int | None = None
    returned_us: int | None = None
    previous_us: int | None = None
    marketing_channel: str | None = None
    campaign: str | None = None
    cohort: Cohort | None = None
    path: list[Touch] = []
    first_touch: Touch | None = None
    places: list[Place] = []
    began_us: int | None = None
    touchpoints_before: int = 0
    channels_before: int = 0

    @property
    def key(self) -> str:
        return f"order/{self.system}/{self.order_id}"


class PathFact(_Fact, tag="path", kw_only=True, frozen=True):
    """The touches since the person's newest order (all, without one), as of the last of them; `ended_us` is when the next touch or order
    followed. `stage` is purchase while the person has no order that stands, else loyalty. `channels` and `campaigns` ("" for none) are
    those of the last 50 touches in the lookback, repeats of the one before left out."""

    at_us: int
    stage: Stage
    channels: list[str]
    campaigns: list[str]
    ended_us: int | None = None
    first_id: str

    @property
    def key(self) -> str:
        return f"path/{self.at_us}/{self.first_id}"


class Leg(Struct, array_like=True, frozen=True, gc=False):
    """A call or chat in a case (or all of a case that has none). `since_us` is when the wait began; `wait_ms` until it was answered or
    abandoned, `handle_ms` what agents worked on it until it ended; None: unknown."""

    leg_id: str | None
    channel: str
    at_us: int
    since_us: int | None
    queued_us: int | None
    answered_us: int | None
    abandoned_us: int | None
    ended_us: int | None
    wait_ms: int | None
    handle_ms: int | None
    queue: str | None
    team: str | None
    agent_id: str | None


class Reason(Struct, array_like=True, frozen=True, gc=False):
    """Why somebody wrote or called (`complaint`, `repeated_information`, …), when it was first given."""

    at_us: int
    reason: str


class CaseFact(_Fact, tag="case", kw_only=True, frozen=True):
    """A service contact, from its first touchpoint on. `responded_us` is the first `answered` or agent message, `bot_responded_us` the first
    bot message. `resolved_us` and `reopened_us` list every resolution and reopening in order. `others` are touchpoints of other people
    on this case, as SOURCE/ID. `agents_us` says when each of `agents` was first named. `next_us` is when the person's
    next case opened, `next_on_topic_us` when the next one on this topic did after the first resolution."""

    system: str
    case_id: str
    at_us: int
    stage: Stage
    channel: str
    source: str
    opened_by: Actor
    touchpoints: int
    last_us: int
    topic: str | None = None
    product: str | None = None
    feature: str | None = None
    queue: str | None = None
    team: str | None = None
    responded_us: int | None = None
    bot_responded_us: int | None = None
    resolved_us: list[int] = []
    reopened_us: list[int] = []
    closed_us: int | None = None
    transferred_us: list[int] = []
    compensated_us: list[int] = []
    agents: list[str] = []
    agents_us: list[int] = []
    others: list[str] = []
    legs: list[Leg] = []
    reasons: list[Reason] = []
    next_us: int | None = None
    next_on_topic_us: int | None = None

    @property
    def key(self) -> str:
        return f"case/{self.system}/{self.case_id}"


class Score(Struct, array_like=True, frozen=True, gc=False):
    """An earlier answer of the same person to a survey of the same kind, on its scale."""

    score: float
    scale_min: float
    scale_max: float
    easy: Literal["low", "high"] | None


class Between(Struct, array_like=True, frozen=True, gc=False):
    """The newest case that was opened between two answers."""

    channel: str
    topic: str | None


class SurveyFact(_Fact, tag="survey", kw_only=True, frozen=True):
    """A survey that was sent or answered. `stage` is its case's, else the furthest when it was answered. Scores as sent.

    `answered_us` is of one that was sent: when it was first answered after that (and before it was sent again). `before` is the
    person's answer before this one, where a case was opened `between` them.
    """

    survey_id: str
    survey_kind: str
    action: Literal["sent", "answered"]
    at_us: int
    stage: Stage
    channel: str
    source: str
    score: float | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    easy: Literal["low", "high"] | None = None
    case_id: str | None = None
    topic: str | None = None
    answered_us: int | None = None
    before: Score | None = None
    between: Between | None = None
    first_id: str

    @property
    def key(self) -> str:
        return f"survey/{self.action}/{self.survey_id}/{self.first_id}"


class _Sequel(_Fact, kw_only=True, frozen=True):
    """Something after which it matters whether something else follows: `followed_us` is when that first did, within the time it has.

    `stage` is the furthest stage then. `ref` is the touchpoint that brought it, as SOURCE/ID.
    """

    at_us: int
    stage: Stage
    channel: str
    source: str
    ref: str
    followed_us: int | None = None


class Helped(_Sequel, tag="helped", kw_only=True, frozen=True):
    """The first help article of a visit; followed by a case of the person within a day."""

    article_id: str

    @property
    def key(self) -> str:
        return f"helped/{self.at_us}/{self.ref}"


class Bad(_Sequel, tag="bad", kw_only=True, frozen=True):
    """A bad experience of a contact, or a survey; followed within 90 days by compensation, a satisfied answer or an order."""

    experience: Literal["unsatisfied", "complaint", "reopened", "waited"]
    topic: str | None = None

    @property
    def key(self) -> str:
        return f"bad/{self.experience}/{self.at_us}/{self.ref}"


class Slow(_Sequel, tag="slow", kw_only=True, frozen=True):
    """A case's first answer over 5 minutes after it opened, in a journey before purchase; followed by the customer within 7 days."""

    topic: str | None = None

    @property
    def key(self) -> str:
        return f"slow/{self.at_us}/{self.ref}"


class Reached(_Sequel, tag="reached", kw_only=True, frozen=True):
    """The first time that the business reached out to a person by `outreach_id` – or, for a `control`, would have. Followed within
    7 days by a case that the customer opened; `before_us` is the newest such case of the 7 days before."""

    outreach_id: str
    control: bool = False
    reason: str | None = None
    before_us: int | None = None

    @property
    def key(self) -> str:
        return f"reached/{self.outreach_id}"


class Goal(_Fact, tag="goal", kw_only=True, frozen=True):
    """Something that the person wanted to do, stated for the first time in a journey by the touchpoint `first_id` (SOURCE/ID), and when
    it was first said to be reached there."""

    goal: str
    at_us: int
    stage: Stage
    channel: str
    source: str
    reached_us: int | None = None
    first_id: str

    @property
    def key(self) -> str:
        return f"goal/{self.first_id}"


class Introduced(_Fact, tag="introduced", kw_only=True, frozen=True):
    """A journey of somebody who has not ordered before, since `at_us`. `referred_us` is when the customer first said to be referred by
    somebody, before `bought_us`, when the journey reached purchase or a later stage."""

    journey_id: str
    at_us: int
    channel: str
    source: str
    referred_us: int | None = None
    bought_us: int | None = None

    @property
    def key(self) -> str:
        return f"introduced/{self.journey_id}"


class Voice(_Fact, tag="voice", kw_only=True, frozen=True):
    """One touchpoint in which a customer rates (`rating` of `rating_max`), shows a mood (`sentiment`, −1 … 1) or `told` others."""

    at_us: int
    stage: Stage
    channel: str
    source: str
    topic: str | None = None
    told: Literal["referral", "share"] | None = None
    product: str | None = None
    rating: float | None = None
    rating_max: float | None = None
    sentiment: float | None = None
    first_id: str

    @property
    def key(self) -> str:
        return f"voice/{self.first_id}"


class Turn(NamedTuple):
    """By how much the person's orders, and their worth in a currency, became more or fewer at `at_us`."""

    at_us: int
    currency: str | None
    orders: int
    micros: int


class Exposure(_Fact, tag="exposure", kw_only=True, frozen=True):
    """The first variant of an experiment that a person saw. `second_us` is when another one was seen. `seen_us` is the last touchpoint so far
    of the visit in which it was; `turns` are of the orders placed since."""

    experiment_id: str
    variant: str
    at_us: int
    seen_us: int
    stage: Stage
    channel: str
    source: str
    second_us: int | None = None
    turns: list[Turn] = []

    @property
    def key(self) -> str:
        return f"exposure/{self.experiment_id}"


class Recommended(_Fact, tag="recommended", kw_only=True, frozen=True):
    """A product (None: not said which) that a recommendation showed to a person, and when it was first clicked and ordered in the 30 days
    after that."""

    recommendation_id: str
    product: str | None
    at_us: int
    channel: str
    source: str
    clicked_us: int | None = None
    bought_us: int | None = None

    @property
    def thing(self) -> str:
        return f"{self.recommendation_id}/{self.product or ''}"

    @property
    def key(self) -> str:
        return f"recommended/{self.thing}/{self.at_us}"


Growth = Introduced | Voice | Exposure | Recommended
Sequel = Helped | Bad | Slow | Reached
Fact = (
    Growth
    | Sequel
    | ContactTurn
    | Goal
    | Day
    | Step
    | Touched
    | Transition
    | Ended
    | Visit
    | OrderFact
    | PathFact
    | CaseFact
    | SurveyFact
)


class PersonMonth(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """The facts of one person in one calendar month: the whole of them, whenever any changed.

    A record with a `version` not above the one already taken is old and is ignored. `gone` takes everything of this
    (person, month) away; with `erasure` it does so for the command of that id, which metrics then answers on `commands.done`.
    `identified` is false for a person known by an order or a case only. Once metrics has passed a gone month, its null follows.
    """

    person_id: str
    month: str
    version: int
    facts: list[Fact] = []
    gone: bool = False
    erasure: str | None = None
    identified: bool = True


class Watermark(Struct, kw_only=True, frozen=True):
    """Everything that these input positions have changed has been published before this record.

    {topic: {partition as text: offset of the next record to read}}. Key `watermark`; one in every partition of `journeys`.
    """

    watermark: dict[str, dict[str, int]]


WATERMARK_KEY = b"watermark"


def month_key(person_id: str, month: str) -> bytes:
    """The key of a `PersonMonth` record."""
    return f"{person_id}/{month}".encode()
