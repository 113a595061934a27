"""The shapes of metrics' answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _RestsOn(BaseModel):
    as_of: str = Field(description="the instant that the answer speaks of")
    complete_to: str | None = Field(
        description="everything that journey had published by then is counted; null until each partition has brought a watermark"
    )
    generation: str = Field(description="hash of the code and the settings that made the rollups")


class Declaration(BaseModel):
    id: str
    title: str
    unit: str
    exploratory: bool = Field(description="more is worked out at each question than sums are added up: it may take over 10 ms")
    definition: str
    formula: str
    source: str
    grains: list[str]
    dimensions: list[str]
    dimension_sets: list[list[str]] = Field(description="dimensions that can be asked for together")


class CatalogueAnswer(BaseModel):
    kpis: list[Declaration]
    next_cursor: str | None


class KpiRow(BaseModel):
    """The dimensions of `by` are further fields; with compare=previous also `previous`, `previous_n` and `change`."""

    model_config = ConfigDict(extra="allow")

    period: str | None
    value: float | None
    numerator: int | None
    denominator: int | None
    n: int
    low: float | None
    high: float | None
    open: int


class KpiAnswer(_RestsOn):
    kpi: str
    unit: str
    exploratory: bool
    from_: str = Field(alias="from")
    to: str
    grain: str
    by: list[str]
    rows: list[KpiRow]


class EvidenceRow(BaseModel):
    """The dimensions of `by`, and the numbers of an order, a case or a survey in its system, are further fields."""

    model_config = ConfigDict(extra="allow")

    period: str | None
    at: str = Field(description="when it began to count")
    amount: int = Field(description="what it adds to the number: 1 where things are counted; below 0 if it takes something back")
    kind: str = Field(description="what it is: a day of a person, a visit, an order, a case, a survey, …")
    person_id: str
    person_url: str = Field(description="of journey's API")
    url: str = Field(description="of journey's API: the thing itself, or else the person's touchpoints")


class EvidenceAnswer(_RestsOn):
    kpi: str
    of: str
    from_: str = Field(alias="from")
    to: str
    grain: str
    by: list[str]
    total: int = Field(description="the number itself; the amounts of all pages add up to it")
    evidence: list[EvidenceRow]
    next_cursor: str | None = Field(
        description="send it as `cursor` for the next page, which may be empty; null: this was the last"
    )


class TimeInStage(BaseModel):
    n: int
    mean_s: float | None
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None


class StageRow(BaseModel):
    """The dimensions of `by` are further fields."""

    model_config = ConfigDict(extra="allow")

    stage: str
    touchpoints: int
    touched: int
    reached: int
    conversion: float | None
    dropped: int
    in_stage_now: int
    skipped: int
    time_in_stage: TimeInStage


class _Cohort(_RestsOn):
    from_: str = Field(alias="from")
    to: str
    by: list[str]
    cohort: str


class StagesAnswer(_Cohort):
    unit: str
    journeys: int
    stages: list[StageRow]


class TransitionRow(BaseModel):
    """`from` null: the start of a journey; `to` null: it was over. The dimensions of `by` are further fields."""

    model_config = ConfigDict(extra="allow")

    from_: str | None = Field(alias="from")
    to: str | None
    transitions: int


class TransitionsAnswer(_Cohort):
    transitions: list[TransitionRow]


class CheckAnswer(BaseModel):
    checked: int
    mismatches: int
    examples: list[dict[str, Any]]
