"""The shapes of journey's answers: times as RFC 3339 in UTC, money as decimal text with its currency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.facts import CaseFact, OrderFact, SurveyFact
from schemas.times import format_time
from schemas.touchpoint import STAGES, Stage
from services.journey.domain.cases import is_resolved
from services.journey.domain.derive import Derived
from services.journey.domain.describe import Description, Journey, Things
from services.journey.domain.explain import Owned
from services.journey.store.aside import SetAside
from services.journey.store.paths import Step
from services.journey.store.people import Person
from services.journey.store.read import CaseRow, JourneyRow

MICROS = 1_000_000


def person(of: Person, described: Description, identities: list[str], count: int, now_us: int) -> dict[str, Any]:
    """`identities` are the first of `count`."""
    return {
        "person_id": of.person_id,
        "version": of.version,
        "identities": identities,
        "identity_count": count,
        "touchpoints": of.touchpoints,
        "journeys": [journey(one, now_us) for one in described.journeys],
        "outside": things(described.outside),
        "suspected_bot": of.suspected_bot or of.too_large,
    }


def set_aside(of: Person, most: int) -> dict[str, Any] | None:
    """Why nothing of a person is in the KPIs; `most` are the touchpoints that a person may have."""
    if of.suspected_bot:
        why = f"over {most:,} touchpoints: nothing is told of them until somebody releases the person"
        return {"reason": "too_many_touchpoints", "why": why}
    if of.too_large:
        return {"reason": "record_too_large", "why": "a month is too large for the bus; the person counts again when it fits"}
    return None


def set_aside_row(of: SetAside) -> dict[str, Any]:
    """`identity` is the one that the person goes by."""
    return {
        "person_id": of.person_id,
        "identity": of.name,
        "touchpoints": of.touchpoints,
        "reason": of.reason,
        "largest_month_bytes": of.largest_bytes,
    }


def journey(of: Journey, now_us: int) -> dict[str, Any]:
    end = of.ended
    return {
        "id": end.cohort.id,
        "started_at": format_time(end.cohort.started_us),
        "last_at": format_time(end.last_us),
        "open": of.is_open(now_us),
        "current_stage": end.current_stage,
        "furthest_stage": end.furthest_stage,
        "entry_stage": end.cohort.entry_stage,
        "channel": end.cohort.channel,
        "source": end.cohort.source,
        "campaign": end.cohort.campaign,
        "marketing_channel": end.cohort.marketing_channel,
        "touchpoints": of.touchpoints,
        "stages": [
            {
                "stage": span.stage,
                "reached_at": _time(span.reached_us),
                "left_at": _time(span.left_us),
                "touchpoints": span.touchpoints,
            }
            for span in of.stages
        ],
        **things(of.things),
    }


def things(of: Things) -> dict[str, Any]:
    return {
        "orders": [order(one) for one in of.orders],
        "cases": [case(one) for one in of.cases],
        "surveys": [survey(one) for one in of.surveys],
    }


def order(of: OrderFact) -> dict[str, Any]:
    """`amount` is what it is worth now, null if unknown."""
    worth = of.amounts[-1]
    return {
        "order_id": of.order_id,
        "system": of.system,
        "placed_at": format_time(of.at_us),
        "stage": of.stage,
        "channel": of.channel,
        "source": of.source,
        "amount": money(worth.micros),
        "currency": worth.currency,
        "refunds": [{"at": format_time(refund.at_us), "amount": money(refund.micros)} for refund in of.refunds],
        "cancelled_at": _time(of.cancelled_us),
        "returned_at": _time(of.returned_us),
        "marketing_channel": of.marketing_channel,
        "campaign": of.campaign,
    }


def case(of: CaseFact) -> dict[str, Any]:
    return {
        "case_id": of.case_id,
        "system": of.system,
        "opened_at": format_time(of.at_us),
        "last_at": format_time(of.last_us),
        "resolved": is_resolved(of),
        "stage": of.stage,
        "channel": of.channel,
        "source": of.source,
        "opened_by": of.opened_by,
        "topic": of.topic,
        "product": of.product,
        "feature": of.feature,
        "queue": of.queue,
        "team": of.team,
        "agents": of.agents,
        "touchpoints": of.touchpoints,
        "responded_at": _time(of.responded_us),
        "bot_responded_at": _time(of.bot_responded_us),
        "resolved_at": [format_time(us) for us in of.resolved_us],
        "reopened_at": [format_time(us) for us in of.reopened_us],
        "transferred_at": [format_time(us) for us in of.transferred_us],
        "closed_at": _time(of.closed_us),
        "others": of.others,
    }


def survey(of: SurveyFact) -> dict[str, Any]:
    return {
        "survey_id": of.survey_id,
        "kind": of.survey_kind,
        "action": of.action,
        "at": format_time(of.at_us),
        "stage": of.stage,
        "channel": of.channel,
        "source": of.source,
        "score": of.score,
        "scale_min": of.scale_min,
        "scale_max": of.scale_max,
        "easy": of.easy,
        "case_id": of.case_id,
        "topic": of.topic,
    }


def touchpoint(of: Derived, body: bytes, stage: Stage | None, journey_id: str | None) -> dict[str, Any]:
    """`sent` is the touchpoint as ingest took it; `time` the time that counts; `stage` where it counts."""
    sent = msgspec.json.decode(body)
    return {
        "id": of.id,
        "source": of.source,
        "type": of.type,
        "occurred_at": sent.get("occurred_at"),
        "time": format_time(of.time_us),
        "channel": of.channel,
        "actor": of.actor,
        "stage": stage,
        "journey": journey_id,
        "identities": of.identities,
        "sent": sent,
    }


def identity(name: str, owned: Owned, company: str | None, linked_to: str | None) -> dict[str, Any]:
    """`seen` is the touchpoint that decides, with the identity in it that counts; of a linked identity that of the one it stands for."""
    sighting = owned.sighting
    return {
        "identity": name,
        "owned_by": owned.how if linked_to is None else "linked",
        "linked_to": linked_to,
        "settled": owned.settled,
        "shared": owned.how == "shared",
        "seen": None
        if sighting is None
        else {"time": format_time(sighting.time_us), "source": sighting.source, "id": sighting.id, "with": company},
    }


def step(of: Step) -> dict[str, Any]:
    """`by` a link, or a sighting of the two in one touchpoint, which is not told any more once it is erased."""
    row: dict[str, Any] = {"from": of.one, "to": of.other, "by": "sighting" if of.link is None else "link"}
    if of.link is not None:
        row["command"] = {"id": of.link.id, "by": of.link.by}
    if of.sighting is not None:
        row["touchpoint"] = {"source": of.sighting.place.source, "id": of.sighting.place.id}
    return row


def journey_row(of: JourneyRow, now_us: int, timeout_us: int) -> dict[str, Any]:
    return {
        "id": of.id,
        "person_id": of.person_id,
        "started_at": format_time(of.started_us),
        "last_at": format_time(of.last_us),
        "open": now_us <= of.last_us + timeout_us,
        "current_stage": STAGES[of.current_stage],
        "furthest_stage": STAGES[of.furthest_stage],
        "entry_stage": STAGES[of.entry_stage],
        "channel": of.channel,
        "source": of.source,
    }


def case_row(of: CaseRow) -> Mapping[str, Any]:
    return {"person_id": of.person_id, **case(of.fact)}


def money(micros: int | None) -> str | None:
    """Micro-units as decimal text: exact, with two decimals or more."""
    if micros is None:
        return None
    units, part = divmod(abs(micros), MICROS)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{units}.{decimals}"


def _time(us: int | None) -> str | None:
    return None if us is None else format_time(us)
