"""The fold: one person's touchpoints, in order, become journeys and facts.

`advance` takes the next touchpoint; what it changed is in `facts`, by month and key, None for a fact that moved away. A month's
opening state is kept in `openings` when its first touchpoint comes, so that a late touchpoint is folded from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from msgspec.structs import replace

from schemas.calendar import Calendar, day_text, month_of_day
from schemas.facts import (
    Bad,
    CaseFact,
    Cohort,
    Contact,
    ContactTurn,
    Day,
    Ended,
    Fact,
    Item,
    OrderFact,
    Sequel,
    Step,
    SurveyFact,
    Touch,
    Transition,
    Unit,
    Visit,
    Working,
)
from schemas.times import DAY_US, MINUTE_US
from schemas.touchpoint import STAGES, Campaign, Page, Stage
from services.journey.domain import cases, growth, orders, places, runs, sequels, surveys
from services.journey.domain.derive import Derived
from services.journey.domain.sequels import Event
from services.journey.domain.stages import INDEX, Progress, started, touch
from services.journey.domain.state import State, Waiting, encode_state
from services.journey.domain.touches import path_of

VISIT_CHANNELS = frozenset({"web", "app", "store"})
VISIT_GAP_US = 30 * MINUTE_US


@dataclass(frozen=True)
class FoldRules:
    """What a fold depends on beside the touchpoints. `classify` gives the marketing channel of a page view with its campaign.
    `lookback_us` is how long before an order a touch may lie to be on its path."""

    classify: Callable[[Page | None, Campaign | None], str]
    timeout_us: int = 90 * DAY_US
    lookback_us: int = 30 * DAY_US
    calendar: Calendar = field(default_factory=Calendar)


class Fold:
    """One person's fold, from a state on.

    `month` is the month of the newest touchpoint in `state`, None at the very start. `reopened` says that facts before this month
    may hold effects of touchpoints after `state`: then all that `state` carries is stated anew.
    """

    def __init__(self, person_id: UUID, rules: FoldRules, state: State, month: int | None, *, reopened: bool = False) -> None:
        self.state = state
        self.facts: dict[tuple[int, str], Fact | None] = {}
        self.openings: dict[int, bytes] = {}
        self.month = month
        self._stated_day: Day | None = None
        self._elsewhere: set[str] = set()
        self._events: set[Event] = set()
        self._begun: list[Sequel] = []
        self._went_well = False
        self._person_id, self._rules = person_id, rules
        self._ended_month = rules.calendar.month_of(state.last_us) if state.journey is not None else None
        if reopened:
            for carried in state.carried():
                self._put(carried)

    def advance(self, touchpoint: Derived) -> None:
        """Take the person's next touchpoint."""
        day = self._enter(touchpoint)
        state = self.state
        if state.day is None or state.day.day != day_text(day):
            state.day = Day(day=day_text(day), at_us=touchpoint.time_us, items=[], channel_before=state.run.channel)
        if state.run.began_us is None:
            state.run.began_us = touchpoint.time_us
        if touchpoint.actor == "customer":
            self._customer_spoke(touchpoint)
        is_open = state.journey is not None and touchpoint.time_us <= state.last_us + self._rules.timeout_us
        own_stage = self._own_stage(touchpoint)
        stage = self._count(touchpoint, own_stage, is_open)
        self._count_in_person(touchpoint, own_stage)
        self._note(touchpoint, own_stage, stage, is_open)
        self._about(touchpoint, self._reached(stage))
        self._grow(touchpoint, self._reached(stage), is_open)
        state.run.take(touchpoint)
        self._settle(touchpoint)

    def meet(self, touchpoint: Derived, amends: Collection[str]) -> bool:
        """Somebody else's next touchpoint on an order or case that the person has touchpoints about; whether it counts here.

        Before the person's first one it makes the thing somebody else's, after it it amends the person's thing, if it is that and
        is among those that it `amends` (as identities).
        """
        state = self.state
        order_key, case_key = order_key_of(touchpoint), case_key_of(touchpoint)
        self._elsewhere |= {order_key, case_key} - state.orders.keys() - state.cases.keys()
        order = state.orders.get(order_key) if order_key.replace("/", ":", 1) in amends else None
        case = state.cases.get(case_key) if case_key.replace("/", ":", 1) in amends else None
        if order is None and case is None:
            return False
        self._enter(touchpoint)
        if order is not None:
            self._put_order(orders.amended(order, touchpoint), touchpoint.time_us)
        if case is not None:
            self._put_case(case_key, cases.continued(case, touchpoint, own=False), touchpoint)
        self._settle(touchpoint)
        return True

    def finish(self) -> None:
        """State what is known of the journey that the newest touchpoint left open: when it will be over."""
        if self.state.journey is not None:
            self._end(self.state.journey)

    # -- journeys -----------------------------------------------------------------------------------------------------------

    def _customer_spoke(self, touchpoint: Derived) -> None:
        """Start a journey, unless one is open; whatever it is, the customer is active today, and perhaps on a visit."""
        state, at_us = self.state, touchpoint.time_us
        marketing_channel = (
            self._rules.classify(touchpoint.page, touchpoint.campaign) if touchpoint.page or touchpoint.campaign else None
        )
        if state.journey is None or at_us > state.last_us + self._rules.timeout_us:
            self.finish()
            self._start_journey(touchpoint, marketing_channel)
        state.last_us, state.run.channel = at_us, touchpoint.channel
        self._events.add("spoke")
        if state.person is None:
            self._start_person(touchpoint, marketing_channel)
        assert state.day is not None
        if not state.day.active:
            self._be_active(state.day)
        starts_visit = touchpoint.channel in VISIT_CHANNELS and self._visit(touchpoint, marketing_channel)
        if marketing_channel is not None:
            self._touch_path(touchpoint, marketing_channel, starts_visit)

    def _be_active(self, day: Day) -> None:
        """The customer's first word of a day, and perhaps of a month."""
        state = self.state
        active = replace(day, active=True, previous_active=state.last_active)
        if state.last_active is None or state.last_active[:7] != day.day[:7]:
            active = replace(active, contact=state.contact, contact_before=state.month_contact)
            state.month_contact = state.contact
        state.day, state.last_active = active, day.day

    def _touch_path(self, touchpoint: Derived, marketing_channel: str, starts_visit: bool) -> None:
        """One touch further, if it is one: a visit, or a campaign that is not just the one that the visit came by."""
        campaign, trail = touchpoint.campaign, self.state.trail
        one = Touch(touchpoint.time_us, marketing_channel, campaign.name if campaign is not None else None)
        visit = self.state.visits.get(touchpoint.channel)
        if not starts_visit and (campaign is None or (visit is not None and trail.repeats(one, visit.at_us))):
            return
        for path in trail.ended_path(one.at_us):
            self._put(path)
        stage: Stage = "loyalty" if self._has_ordered() else "purchase"
        first_id = f"{touchpoint.source}/{touchpoint.id}"
        self.state.trail = trail.with_touch(one, stage, first_id, self._rules.lookback_us)
        assert self.state.trail.path is not None
        self._put_now(self.state.trail.path)

    def _has_ordered(self) -> bool:
        """Whether the person has an order that stands."""
        return any(order is not None and orders.stands(order) for order in self.state.orders.values())

    def _cohort(self, id: str, touchpoint: Derived, marketing_channel: str | None) -> Cohort:
        """What starts with this touchpoint: at loyalty if the person has an order that stands, else at awareness."""
        return Cohort(
            id=id,
            started_us=touchpoint.time_us,
            entry_stage="loyalty" if self._has_ordered() else "awareness",
            channel=touchpoint.channel,
            source=touchpoint.source,
            campaign=touchpoint.campaign.name if touchpoint.campaign is not None else None,
            marketing_channel=marketing_channel,
        )

    def _start_journey(self, touchpoint: Derived, marketing_channel: str | None) -> None:
        state = self.state
        state.first_id = f"{touchpoint.source}/{touchpoint.id}"
        state.run.begin()
        state.run.channel, state.goals = None, {}
        if state.day is not None and not state.day.journeys:
            state.day = replace(state.day, channel_before=None)
        cohort = self._cohort(str(uuid5(self._person_id, state.first_id)), touchpoint, marketing_channel)
        oldest_us = touchpoint.time_us - self._rules.timeout_us
        adopted = [waiting for waiting in state.waiting if waiting.at_us >= oldest_us]
        state.journey, self._ended_month = self._start("journey", cohort, adopted), None
        state.current = next((waiting.stage for waiting in reversed(adopted) if waiting.stage >= 0), -1)
        state.waiting = []

    def _start_person(self, touchpoint: Derived, marketing_channel: str | None) -> None:
        state = self.state
        cohort = self._cohort(str(self._person_id), touchpoint, marketing_channel)
        state.person, state.waiting_person = self._start("person", cohort, state.waiting_person), []

    def _start(self, unit: Unit, cohort: Cohort, waiting: list[Waiting]) -> Progress:
        """Begin, and count the touchpoints of others that were waiting as of this moment."""
        adopted: dict[Stage, int] = {}
        progress, first = started(unit, cohort, adopted)
        self._put_now(replace(first, contact=self.state.contact) if unit == "journey" else first)
        for one in waiting:
            stage = one.stage if one.stage >= 0 else progress.furthest
            adopted[STAGES[stage]] = adopted.get(STAGES[stage], 0) + 1
            self._touch(unit, progress, cohort.started_us, stage)
        return progress

    def _touch(self, unit: Unit, progress: Progress, at_us: int, stage: int) -> None:
        if stage > progress.furthest or not progress.touched >> stage & 1:
            for fact in touch(unit, progress, at_us, stage):
                is_step = isinstance(fact, Step) and unit == "journey"
                self._put_now(replace(fact, contact=self.state.contact) if is_step else fact)
        if progress.last != stage and unit == "journey":
            self.state.transitions += 1
            self._put_now(
                Transition(
                    cohort=progress.cohort,
                    at_us=at_us,
                    n=self.state.transitions,
                    from_stage=STAGES[progress.last] if progress.last >= 0 else None,
                    to_stage=STAGES[stage],
                )
            )
        progress.last = stage

    def _count(self, touchpoint: Derived, own_stage: int, is_open: bool) -> int:
        """Count a touchpoint in its journey; returns the stage it counts in there, -1 if it belongs to none yet."""
        state = self.state
        if not is_open or state.journey is None:
            oldest_us = touchpoint.time_us - self._rules.timeout_us
            state.waiting = [
                *(waiting for waiting in state.waiting if waiting.at_us >= oldest_us),
                Waiting(touchpoint.time_us, own_stage),
            ]
            return -1
        if own_stage >= 0:
            state.current = own_stage
        stage = own_stage if own_stage >= 0 else state.journey.furthest
        self._touch("journey", state.journey, touchpoint.time_us, stage)
        return stage

    def _count_in_person(self, touchpoint: Derived, own_stage: int) -> None:
        person = self.state.person
        if person is None:
            self.state.waiting_person.append(Waiting(touchpoint.time_us, own_stage))
        else:
            self._touch("person", person, touchpoint.time_us, own_stage if own_stage >= 0 else person.furthest)

    def _end(self, journey: Progress) -> None:
        """When a journey will be over; the fact moves along with the customer's last word."""
        state = self.state
        month = self._rules.calendar.month_of(state.last_us)
        ended = Ended(
            cohort=journey.cohort,
            at_us=state.last_us + self._rules.timeout_us,
            last_us=state.last_us,
            furthest_stage=STAGES[journey.furthest],
            reached_us=journey.reached_us,
            current_stage=STAGES[state.current] if state.current >= 0 else journey.cohort.entry_stage,
            first_id=state.first_id,
        )
        if self._ended_month is not None and self._ended_month != month:
            self.facts[self._ended_month, ended.key] = None
        self.facts[month, ended.key] = ended
        self._ended_month = month

    # -- stages -------------------------------------------------------------------------------------------------------------

    def _own_stage(self, touchpoint: Derived) -> int:
        """The index of a touchpoint's own stage, -1 without one. A placed order: purchase if no other stands, else loyalty."""
        if touchpoint.stage is not None:
            return INDEX[touchpoint.stage]
        if not touchpoint.placed_order or touchpoint.order is None:
            return -1
        before_us = orders.previous_standing_us(self.state.orders.values(), order_key_of(touchpoint))
        return INDEX["purchase"] if before_us is None else INDEX["loyalty"]

    def _reached(self, stage: int) -> Stage:
        """The furthest stage now; for a touchpoint outside of any journey its own, or that of the last journey."""
        if self.state.journey is not None:
            return STAGES[self.state.journey.furthest]
        return STAGES[max(stage, 0)]

    # -- days, visits, orders, cases, surveys -------------------------------------------------------------------------------

    def _note(self, touchpoint: Derived, own_stage: int, stage: int, is_open: bool) -> None:
        """Write the touchpoint into its day."""
        state, day = self.state, self.state.day
        assert day is not None
        index = -1
        if is_open and state.journey is not None:
            if not day.journeys or day.journeys[-1].id != state.journey.cohort.id:
                day.journeys.append(state.journey.cohort)
            index = len(day.journeys) - 1
        if state.person is not None and day.person is None:
            day = state.day = replace(day, person=state.person.cohort)
        counted = stage if stage >= 0 else own_stage
        day.items.append(
            Item(
                touchpoint.time_us,
                touchpoint.type,
                touchpoint.channel,
                touchpoint.source,
                touchpoint.actor,
                STAGES[counted] if counted >= 0 else None,
                index,
                STAGES[state.person.last] if state.person is not None else None,
            )
        )
        self._see_agent(touchpoint, day)
        if day is not self._stated_day:
            self._put_now(day)
            self._stated_day = day

    def _see_agent(self, touchpoint: Derived, day: Day) -> None:
        """Whoever of the business acts on a case works in that hour."""
        if touchpoint.case is None or touchpoint.case.agent_id is None or touchpoint.actor != "business":
            return
        seen, hour_of = Working(touchpoint.time_us, touchpoint.channel, touchpoint.case.agent_id), self._rules.calendar.hour_of
        hour = hour_of(seen.at_us)
        if all(hour_of(one.at_us) != hour or (one.channel, one.agent_id) != (seen.channel, seen.agent_id) for one in day.agents):
            day.agents.append(seen)

    def _visit(self, touchpoint: Derived, marketing_channel: str | None) -> bool:
        """Start a visit, or go on with one; whether it started."""
        state, channel, at_us = self.state, touchpoint.channel, touchpoint.time_us
        visit = state.visits.get(channel)
        goes_on = visit is not None and at_us <= visit.ended_us + VISIT_GAP_US
        if visit is not None and goes_on:
            visit = replace(visit, ended_us=at_us, touchpoints=visit.touchpoints + 1)
        else:
            assert state.journey is not None
            campaign = touchpoint.campaign.name if touchpoint.campaign is not None else None
            visit = Visit(
                at_us=at_us,
                ended_us=at_us,
                channel=channel,
                source=touchpoint.source,
                touchpoints=1,
                stage=STAGES[state.journey.furthest],
                marketing_channel=marketing_channel,
                campaign=campaign,
                first_id=f"{touchpoint.source}/{touchpoint.id}",
            )
            state.marketing_channel, state.campaign = marketing_channel, campaign
        state.visits[channel] = visit
        self._put(visit)
        return not goes_on

    def _about(self, touchpoint: Derived, stage: Stage) -> None:
        """The order, case and survey that a touchpoint of the person's own is about."""
        if touchpoint.order is not None:
            self._order(touchpoint)
        case = self._case(touchpoint, stage) if touchpoint.case is not None else None
        if touchpoint.survey is not None:
            if case is None and touchpoint.survey.case_id is not None:
                case = self.state.cases.get(f"case/{touchpoint.system}/{touchpoint.survey.case_id}")
            self._survey(surveys.survey_fact(touchpoint, case.stage if case else stage, case.topic if case else None))
        if (goal := runs.stated(self.state.goals, touchpoint, stage)) is not None:
            self._put(goal)
        if touchpoint.article is not None and touchpoint.actor == "customer" and touchpoint.channel in VISIT_CHANNELS:
            self._article(touchpoint, touchpoint.article.article_id)
        if touchpoint.outreach is not None and touchpoint.actor != "customer":
            self._outreach(touchpoint, touchpoint.outreach.outreach_id, stage)

    def _grow(self, touchpoint: Derived, stage: Stage, is_open: bool) -> None:
        """What it tells of growth."""
        state = self.state
        case = state.cases.get(case_key_of(touchpoint)) if touchpoint.case is not None else None
        topic = case.topic if case is not None else None
        for fact in growth.went_on(state.growth, touchpoint, state.journey if is_open else None, topic, stage):
            self._put(fact)

    def _article(self, touchpoint: Derived, article_id: str) -> None:
        """The first help article of the visit."""
        visit = self.state.visits[touchpoint.channel]
        if visit.article_us is None:
            visit = self.state.visits[touchpoint.channel] = replace(visit, article_us=touchpoint.time_us)
            self._put(visit)
            self._begun.append(sequels.of_article(touchpoint, article_id, visit))

    def _outreach(self, touchpoint: Derived, outreach_id: str, stage: Stage) -> None:
        """The first time that this outreach reaches the person."""
        if outreach_id not in self.state.outreaches:
            self.state.outreaches.append(outreach_id)
            self._begun.append(sequels.of_outreach(touchpoint, stage, self.state.cases.values()))

    def _settle(self, touchpoint: Derived) -> None:
        """What waited for what this touchpoint brought has its answer; what it begins waits for later ones."""
        at_us = touchpoint.time_us
        contact: Contact | None = "good" if self._went_well or "satisfied" in self._events else None
        if any(isinstance(begun, Bad) for begun in self._begun):
            contact = "bad"
        if contact is not None and contact != self.state.contact:
            self._turn(touchpoint, contact)
        if self._begun or self.state.sequels:
            waiting, followed = sequels.happened(self.state.sequels, self._events, at_us)
            self.state.sequels = waiting | {begun.key: begun for begun in self._begun}
            for sequel in (*followed, *self._begun):
                self._put(sequel)
        self._events, self._begun, self._went_well = set(), [], False

    def _turn(self, touchpoint: Derived, contact: Contact) -> None:
        """The last contact was another one from now on."""
        state, ref = self.state, f"{touchpoint.source}/{touchpoint.id}"
        journey = state.journey if touchpoint.time_us <= state.last_us + self._rules.timeout_us else None
        if journey is not None and journey.cohort.entry_stage == "awareness" and journey.furthest < INDEX["purchase"]:
            self._put_now(
                ContactTurn(cohort=journey.cohort, at_us=touchpoint.time_us, before=state.contact, contact=contact, ref=ref)
            )
        state.contact = contact

    def _survey(self, survey: SurveyFact) -> None:
        """A survey that is sent waits for its answer; the first one is its."""
        sendings = self.state.sendings
        if survey.action == "sent":
            sendings[survey.survey_id] = survey
        elif (sent := sendings.pop(survey.survey_id, None)) is not None:
            self._put(replace(sent, answered_us=survey.at_us))
        self._put(surveys.compared(survey, self.state))
        said = sequels.of_survey(survey)
        if isinstance(said, Bad):
            self._begun.append(said)
        elif said is not None:
            self._events.add(said)

    def _order(self, touchpoint: Derived) -> None:
        state, key = self.state, order_key_of(touchpoint)
        if key not in state.orders and key in self._elsewhere:
            state.orders[key] = None
        if key in state.orders:
            known = state.orders[key]
            if known is not None:
                self._put_order(orders.amended(known, touchpoint), touchpoint.time_us)
            return
        previous_us = orders.previous_standing_us(state.orders.values(), key)
        stage: Stage = touchpoint.stage or ("purchase" if previous_us is None else "loyalty")
        cohort = state.journey.cohort if state.journey is not None else None
        order = orders.placed(touchpoint, stage, previous_us, state.marketing_channel, state.campaign, cohort)
        path, first_touch = path_of(state.trail, order.at_us, self._rules.lookback_us)
        for ended in state.trail.ended_path(order.at_us):
            self._put(ended)
        state.trail = state.trail.ordered()
        self._events.add("ordered")
        self._put_order(state.run.order(replace(order, path=path, first_touch=first_touch)), touchpoint.time_us)

    def _case(self, touchpoint: Derived, stage: Stage) -> CaseFact | None:
        state, key = self.state, case_key_of(touchpoint)
        if key not in state.cases and key in self._elsewhere:
            state.cases[key] = None
        if key not in state.cases:
            self._put_case(key, cases.opened(touchpoint, stage), touchpoint)
        elif (known := state.cases[key]) is not None:
            self._put_case(key, cases.continued(known, touchpoint, own=True), touchpoint)
        return state.cases[key]

    def _put_case(self, key: str, case: CaseFact, touchpoint: Derived) -> None:
        """Keep and state a case; if it is new, or its topic is, the person's others may be followed by it now, or it by them."""
        held = self.state.cases
        known = held.get(key)
        if known is None or known.topic != case.topic:
            for other_key, other in list(held.items()):
                if other is None or other_key == key:
                    continue
                case = cases.followed(case, other)
                if (followed := cases.followed(other, case)) is not other:
                    held[other_key] = followed
                    self._put(followed)
        held[key] = case
        self._put(case)
        if known is None:
            self.state.since_answers = dict.fromkeys(self.state.answers, key)
        self._events.update(sequels.events_of_case(known, case))
        self._went_well = sequels.went_well(known, case)
        journey, is_before = self.state.journey, False
        if journey is not None and touchpoint.time_us <= self.state.last_us + self._rules.timeout_us:
            is_before = journey.furthest < INDEX["purchase"]
        stage = STAGES[journey.furthest] if journey is not None else case.stage
        self._begun += sequels.of_case(known, case, touchpoint, stage, is_before)

    def _put_order(self, order: OrderFact, now_us: int) -> None:
        """Keep and state an order, and the person's others whose place it changes."""
        held, day_of = self.state.orders, self._rules.calendar.day_of
        known = held.get(order.key)
        if known is None and orders.stands(order):
            order = places.placed(order, self.state.standing, day_of)
        held[order.key] = order
        self._put(order)
        for exposure in growth.ordered(self.state.growth, known, order, now_us):
            self._put(exposure)
        if known is not None and places.differs(known, order):
            self.state.standing, moved = places.anew(held.values(), now_us, day_of)
            for other in moved:
                held[other.key] = other
                self._put(other)

    # -- months -------------------------------------------------------------------------------------------------------------

    def _enter(self, touchpoint: Derived) -> int:
        """Come to a touchpoint's day, and to its month if that is a new one; returns the day."""
        day = self._rules.calendar.day_of(touchpoint.time_us)
        month = month_of_day(day)
        if month != self.month:
            self.state = self._over()
            self.openings[month] = encode_state(self.state)
            self.month = month
        return day

    def opening(self) -> bytes:
        """What is kept of a month that would begin now."""
        return encode_state(self._over())

    def _over(self) -> State:
        """The state when its month is over."""
        return replace(self.state, day=None, transitions=0)

    def _put(self, fact: Fact) -> None:
        """State a fact, in the month of its first effect."""
        self.facts[self._rules.calendar.month_of(fact.at_us), fact.key] = fact

    def _put_now(self, fact: Fact) -> None:
        """The same for a fact whose first effect is now."""
        assert self.month is not None
        self.facts[self.month, fact.key] = fact


def order_key_of(touchpoint: Derived) -> str:
    """The key of the order that a touchpoint is about, "" without one."""
    return f"order/{touchpoint.system}/{touchpoint.order.order_id}" if touchpoint.order is not None else ""


def case_key_of(touchpoint: Derived) -> str:
    """The key of the case that a touchpoint is a part of, "" without one."""
    return f"case/{touchpoint.system}/{touchpoint.case.case_id}" if touchpoint.case is not None else ""
