"""What a fold carries from one touchpoint of a person to the next, and how it is kept."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Struct, field

from schemas.facts import CaseFact, Contact, Day, Fact, Goal, OrderFact, Score, Sequel, SurveyFact, Visit
from services.journey.domain.growth import Growth
from services.journey.domain.places import Standing
from services.journey.domain.runs import Run
from services.journey.domain.stages import Progress
from services.journey.domain.touches import Trail


class Key(NamedTuple):
    """A touchpoint's place in the total order of a person's touchpoints."""

    time_us: int
    original_us: int
    case_rank: int
    source: str
    id: str


class Waiting(NamedTuple):
    """A touchpoint of others that came while no journey was open; `stage` is the index of its own stage, -1 without one."""

    at_us: int
    stage: int


class State(Struct, array_like=True):
    """A person, folded up to some touchpoint. It depends on nothing but the touchpoints up to there.

    `first_id` (SOURCE/ID) is the touchpoint that started the journey, `last_us` when the customer was last heard of in it, `current` the
    own stage of its newest touchpoint that has one. `waiting` are touchpoints of others that no journey has taken yet. `orders` and
    `cases` hold None for those whose first touchpoint is somebody else's. `marketing_channel` and `campaign` are those of the newest
    visit. `sendings` are the surveys that were sent and not answered yet. `trail` is what brought the person lately. `standing` is what
    the next order's place depends on, `sequels` wait for what follows, `outreaches` are the ids of those that reached the person,
    `growth` what else may still come. `run` leads to the next purchase, `goals` are those stated in the journey, by name. `answers` are
    the newest by kind of survey, `since_answers` the newest case that was opened since. `contact` is how the last contact was,
    `month_contact` how it was when the customer was first active in the newest month. `day` is the day that is not over yet,
    `transitions` counts those of this month.
    """

    person: Progress | None = None
    journey: Progress | None = None
    first_id: str = ""
    last_us: int = 0
    current: int = -1
    waiting: list[Waiting] = []
    waiting_person: list[Waiting] = []
    last_active: str | None = None
    day: Day | None = None
    transitions: int = 0
    visits: dict[str, Visit] = {}
    marketing_channel: str | None = None
    campaign: str | None = None
    orders: dict[str, OrderFact | None] = {}
    cases: dict[str, CaseFact | None] = {}
    sendings: dict[str, SurveyFact] = {}
    trail: Trail = field(default_factory=Trail)
    standing: Standing = field(default_factory=Standing)
    sequels: dict[str, Sequel] = {}
    outreaches: list[str] = []
    growth: Growth = field(default_factory=Growth)
    run: Run = field(default_factory=Run)
    goals: dict[str, Goal] = {}
    answers: dict[str, Score] = {}
    since_answers: dict[str, str] = {}
    contact: Contact | None = None
    month_contact: Contact | None = None

    def carried(self) -> list[Fact]:
        """The facts that later touchpoints may change."""
        kept = (*self.orders.values(), *self.cases.values(), *self.visits.values(), *self.sendings.values(), self.trail.path)
        return [
            fact for fact in (*kept, *self.sequels.values(), *self.goals.values(), *self.growth.carried()) if fact is not None
        ]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def encode_state(state: State) -> bytes:
    return _encoder.encode(state)


def decode_state(kept: bytes) -> State:
    return _decoder.decode(kept)
