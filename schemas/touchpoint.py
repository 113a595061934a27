"""One interaction of one person with the business, as a sender posts it and as it travels on the topic `touchpoints`.

Facets are strict: an unknown field is refused with a pointer (free data belongs in `properties`). All text is 1 to some
length; limits that a type cannot state (32 KiB, nesting, times, identities, money) are checked by ingest.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Stage = Literal["awareness", "consideration", "purchase", "loyalty", "advocacy"]
STAGES: tuple[Stage, ...] = ("awareness", "consideration", "purchase", "loyalty", "advocacy")
Actor = Literal["customer", "business", "system"]
OrderAction = Literal["placed", "changed", "cancelled", "refunded", "returned"]
CaseAction = Literal[
    "opened",
    "queued",
    "answered",
    "abandoned",
    "message",
    "transferred",
    "held",
    "resumed",
    "ended",
    "resolved",
    "reopened",
    "closed",
    "compensated",
    "note",
]
"""In the order of a case's life: touchpoints of one microsecond are folded in this order."""

MAX_TOUCHPOINT_BYTES = 32 * 1024
MAX_DEPTH = 32

Id = Annotated[str, Meta(min_length=1, max_length=100)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]
Url = Annotated[str, Meta(max_length=8192)]
ChannelName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$(?!\n)")]
"""Patterns end in `$(?!\\n)`: `$` alone lets a trailing line break through in Python, though not in JSON Schema."""
Decimal = (
    Annotated[str, Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,6})?$(?!\n)")]
    | Annotated[int, Meta(ge=0)]
    | Annotated[float, Meta(ge=0)]
)
"""Money or a quantity, at most 10⁹ units and six decimals; text is exact, a JSON number is taken by its shortest decimal form."""
SurveyKind = ChannelName
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Namespace = Annotated[str, Meta(extra_json_schema={"pattern": "^[a-z][a-z0-9_]{0,39}$"})]
Identity = Annotated[str, Meta(min_length=3, max_length=241)]
"""`namespace:value`."""
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
Seconds = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Number = int | float
Positive = Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)]


class _Facet(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    pass


class Page(_Facet):
    url: Url | None = None
    path: Url | None = None
    title: Text | None = None
    referrer: Url | None = None


class Campaign(_Facet):
    source: Name | None = None
    medium: Name | None = None
    name: Name | None = None
    term: Name | None = None
    content: Name | None = None


class OrderItem(_Facet):
    product_id: Name
    quantity: Decimal | None = None
    price: Decimal | None = None


class Order(_Facet):
    """An order is (system, order_id); its first touchpoint is the order, later ones amend it. `action` None means placed."""

    order_id: Name
    action: OrderAction | None = None
    amount: Decimal | None = None
    currency: Currency | None = None
    refund_amount: Decimal | None = None
    items: list[OrderItem] | None = None


class Case(_Facet):
    """One step in the life of a service contact (system, case_id); a call or chat inside it is a leg (`leg_id`).

    `wait_seconds` replaces the difference of the times; null: the wait is unknown.
    """

    case_id: Name
    action: CaseAction
    topic: Name | None = None
    product: Name | None = None
    feature: Name | None = None
    queue: Name | None = None
    team: Name | None = None
    agent_id: Name | None = None
    leg_id: Name | None = None
    by: Literal["customer", "agent", "bot"] | None = None
    wait_seconds: Seconds | UnsetType | None = UNSET
    handle_seconds: Seconds | None = None
    talk_seconds: Seconds | None = None
    hold_seconds: Seconds | None = None
    wrap_seconds: Seconds | None = None
    outcome: Name | None = None
    reason: Name | None = None


class Survey(_Facet):
    """`scale_min`/`scale_max` default to the usual scale of `kind`: csat 1–5, nps 0–10, ces 1–7. `easy`: which end means easy (ces)."""

    survey_id: Name
    kind: SurveyKind
    action: Literal["sent", "answered"] | None = None
    score: Number | None = None
    scale_min: Number | None = None
    scale_max: Number | None = None
    easy: Literal["low", "high"] | None = None
    case_id: Name | None = None
    comment: Text | None = None


class Experiment(_Facet):
    experiment_id: Name
    variant: Name


class Recommendation(_Facet):
    recommendation_id: Name
    product_id: Name | None = None


class Referral(_Facet):
    code: Name | None = None
    referred_by: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}:.{1,200}$(?!\n)")] | None = None


class Review(_Facet, kw_only=True):
    product_id: Name | None = None
    rating: Number
    rating_max: Positive = 5


class Outreach(_Facet):
    outreach_id: Name
    reason: Name | None = None
    control: bool = False


class Article(_Facet):
    article_id: Name


class _Fields(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every form of a touchpoint has. Times are RFC 3339 text with an offset, as they were sent."""

    type: Name
    occurred_at: Time | None = None
    sent_at: Time | None = None
    channel: ChannelName | None = None
    actor: Actor | None = None
    stage: Stage | None = None
    goal: Name | None = None
    goal_reached: bool | None = None
    page: Page | None = None
    campaign: Campaign | None = None
    order: Order | None = None
    case: Case | None = None
    survey: Survey | None = None
    experiment: Experiment | None = None
    recommendation: Recommendation | None = None
    referral: Referral | None = None
    review: Review | None = None
    outreach: Outreach | None = None
    article: Article | None = None
    sentiment: Annotated[float, Meta(ge=-1, le=1)] | None = None


class Touchpoint(_Fields, kw_only=True):
    """As a sender posts it. Identity values may be numbers; ingest makes them text and drops those that stand for nobody."""

    id: Id | None = None
    identities: dict[Namespace, str | int | float | None] = {}
    properties: dict[str, Any] = {}


class Accepted(_Fields, kw_only=True):
    """As it travels on the topic `touchpoints`: with its id, normalised identities, and what ingest knows of it.

    `previous` is the identity that an alias names in `properties.previous_id`, in its normal form, where that is none of `identities`.
    Encoded with `omit_defaults`; `received_at` is RFC 3339 in UTC with six decimals. `properties` stay raw JSON until
    somebody needs them.
    """

    id: Id
    source: Name
    system: Name
    received_at: Time
    identities: dict[Namespace, Name] = {}
    previous: Identity | None = None
    properties: Raw = Raw(b"{}")
