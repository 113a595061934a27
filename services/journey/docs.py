"""The shapes of journey's answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Cursor = Field(description="send it as `cursor` for the next page; null: this was the last")


class StageSpan(BaseModel):
    stage: str
    reached_at: str | None = Field(description="null: only touched, the journey started further on")
    left_at: str | None = Field(description="when it went on to a later stage; a stage jumped over is left as it is reached")
    touchpoints: int


class Refund(BaseModel):
    at: str
    amount: str | None


class Order(BaseModel):
    order_id: str
    system: str
    placed_at: str
    stage: str
    channel: str
    source: str
    amount: str | None = Field(description="decimal text, as of now; null if unknown")
    currency: str | None
    refunds: list[Refund]
    cancelled_at: str | None
    returned_at: str | None
    marketing_channel: str | None
    campaign: str | None


class Case(BaseModel):
    case_id: str
    system: str
    opened_at: str
    last_at: str
    resolved: bool
    stage: str
    channel: str
    source: str
    opened_by: str
    topic: str | None
    product: str | None
    feature: str | None
    queue: str | None
    team: str | None
    agents: list[str]
    touchpoints: int
    responded_at: str | None
    bot_responded_at: str | None
    resolved_at: list[str]
    reopened_at: list[str]
    transferred_at: list[str]
    closed_at: str | None
    others: list[str] = Field(description="touchpoints of other people on this case, as SOURCE/ID")


class Survey(BaseModel):
    survey_id: str
    kind: str
    action: str
    at: str
    stage: str
    channel: str
    source: str
    score: float | None
    scale_min: float | None
    scale_max: float | None
    easy: str | None
    case_id: str | None
    topic: str | None


class Things(BaseModel):
    orders: list[Order]
    cases: list[Case]
    surveys: list[Survey]


class JourneyRow(BaseModel):
    id: str
    person_id: str
    started_at: str
    last_at: str
    open: bool = Field(description="the customer was heard of within the journey timeout")
    current_stage: str
    furthest_stage: str
    entry_stage: str
    channel: str
    source: str


class PersonsJourney(Things):
    id: str
    started_at: str
    last_at: str
    open: bool
    current_stage: str
    furthest_stage: str
    entry_stage: str
    channel: str
    source: str
    campaign: str | None
    marketing_channel: str | None
    touchpoints: int
    stages: list[StageSpan]


class JourneyAnswer(PersonsJourney):
    person_id: str


class SetAside(BaseModel):
    reason: str = Field(description="too_many_touchpoints or record_too_large")
    why: str


class PersonAside(BaseModel):
    person_id: str
    identity: str = Field(description="the one that the person goes by")
    touchpoints: int
    reason: str = Field(description="too_many_touchpoints or record_too_large")
    largest_month_bytes: int | None


class PersonsAnswer(BaseModel):
    persons: list[PersonAside]
    next_cursor: str | None
    counts: dict[str, int] = Field(description="how many there are in all, by reason")


class PersonAnswer(BaseModel):
    person_id: str
    version: int
    identities: list[str] = Field(description="at most the first 100 of `identity_count`; …/identities pages them all")
    identity_count: int
    touchpoints: int
    journeys: list[PersonsJourney]
    outside: Things = Field(description="what lies in no journey")
    suspected_bot: bool = Field(description="whether the person is set aside: in no KPI")
    set_aside: SetAside | None
    identified: bool = Field(description="false for a person known by an order or a case only")


class Touchpoint(BaseModel):
    id: str
    source: str
    type: str
    occurred_at: str | None
    time: str = Field(description="the time that counts: corrected for the sender's clock")
    channel: str
    actor: str
    stage: str | None = Field(description="the stage it counts in; null: none")
    journey: str | None
    identities: list[str]
    sent: dict[str, Any] = Field(description="the touchpoint as it was taken")


class Sighting(BaseModel):
    time: str
    source: str
    id: str
    with_: str = Field(alias="with", description="the identity that it was seen with")


class OfTouchpoint(BaseModel):
    source: str
    id: str
    type: str


class OfCommand(BaseModel):
    id: str
    action: str
    by: str
    at: str
    reason: str | None


class Evidence(BaseModel):
    kind: str = Field(description="sighting, link, unlink or alias")
    time: str
    with_: list[str] = Field(alias="with", description="the other identities in it")
    in_effect: bool = Field(description="whether it decides now, or at the time `at`; false for what was overruled")
    from_: str | None = Field(alias="from", description="since when it is in effect; null: without a beginning, or never")
    until: str | None
    leads_to: str | None = Field(description="the identity in it that decides, where it decides over some time")
    touchpoint: OfTouchpoint | None
    command: OfCommand | None


class Identity(BaseModel):
    identity: str
    owned_by: str = Field(description="itself, linked, seen_with_customer, seen_with_handle, highest_rank, or shared: nobody's")
    linked_to: str | None = Field(description="the identity that it stands for by links")
    settled: bool = Field(description="the same owner at all times")
    shared: bool
    seen: Sighting | None = Field(description="the touchpoint in effect")
    evidence: list[Evidence] = Field(description="the newest")
    more_evidence: str | None = Field(description="if there is more: the `cursor` for the same question with `of` this identity")


class CaseRow(Case):
    person_id: str


class Likely(BaseModel):
    person_id: str
    identity: str = Field(description="the identity that this person goes by")
    reason: str = Field(
        description="same_email or same_phone (another spelling), same_order, same_case, same_handle (split in time)"
    )
    mine: str
    theirs: str


class TouchpointsAnswer(BaseModel):
    touchpoints: list[Touchpoint]
    next_cursor: str | None = Cursor


class IdentitiesAnswer(BaseModel):
    identities: list[Identity]
    next_cursor: str | None = Cursor
    likely_duplicates: list[Likely] = Field(
        description="other people whom the identities of this page, and on the first page split ones, lead to: at most 100 guesses"
    )


class EvidenceAnswer(BaseModel):
    evidence: list[Evidence]
    next_cursor: str | None = Cursor


class JourneysAnswer(BaseModel):
    journeys: list[JourneyRow]
    next_cursor: str | None = Cursor


class CasesAnswer(BaseModel):
    cases: list[CaseRow]
    next_cursor: str | None = Cursor


class CheckAnswer(BaseModel):
    checked: int = Field(description="people")
    mismatches: int
    examples: list[dict[str, Any]]


class ErasingAnswer(BaseModel):
    id: str = Field(description="ask for it at /v1/erasures/{id}")
    at: str = Field(description="the person is erased up to then, it included")
    token: str = Field(description="send it as X-Waypost-After to read what is left")


class Held(BaseModel):
    topic: str
    until: str = Field(description="at the latest")
    why: str


class Copy(BaseModel):
    kind: str = Field(description="backup, rebuild or postgresql")
    place: str = Field(description="where it was made, or lies; a backup may have been moved or deleted since")
    made_at: str | None
    why: str


class Mentioned(BaseModel):
    touchpoints: int = Field(description="touchpoints of others that name the person, such as referred_by; they are kept")
    first: list[dict[str, str]]


class ErasureAnswer(BaseModel):
    id: str
    at: str
    applied_at: str
    done: bool = Field(description="nothing more is to be done; what the bus holds goes by itself")
    steps: dict[str, bool]
    removed: dict[str, dict[str, int]] = Field(description="what went from each store")
    refused_since: int = Field(description="touchpoints that came later about the time before")
    held: list[Held] = Field(description="what the bus holds until it forgets")
    copies: list[Copy] = Field(description="copies that may hold the person, and that stay until you delete them")
    mentioned: Mentioned
