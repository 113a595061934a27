"""Reads questions from paths and query parameters: what was asked for, or a sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from schemas.identity import NAMESPACE, RESERVED
from schemas.normal import Identities
from schemas.times import parse_time_us
from schemas.touchpoint import STAGES
from services.shared.errors import Rejected
from services.shared.http import flag

PERSON_ID = "person_id"
JOURNEYS = ("stage", "furthest", "channel", "open", "since", "until", "limit", "cursor")
CASES = ("system", "case_id", "topic", "resolved", "since", "until", "limit", "cursor")


class Wanted(NamedTuple):
    """Who was asked for: an identity in its normal form, or, with the namespace `person_id`, a person."""

    namespace: str
    value: str

    @property
    def name(self) -> str:
        return f"{self.namespace}:{self.value}"


def wanted(text: str, normal: Identities) -> Wanted:
    """NAMESPACE:VALUE of a path. Raises Rejected."""
    namespace, colon, value = text.partition(":")
    if not colon or not NAMESPACE.fullmatch(namespace):
        message = "write the person as NAMESPACE:VALUE, such as customer_id:c-42; a namespace is a lower-case name"
        raise Rejected("invalid_namespace", message, "/identity")
    if "\0" in value:
        raise Rejected("invalid_text", "an identity holds no NUL character", "/identity")
    if namespace == PERSON_ID:
        return Wanted(namespace, person_id(value))
    if namespace in RESERVED:
        return Wanted(namespace, value)
    found = normal.normalise({namespace: value})
    if namespace not in found:
        raise Rejected("identity_of_nobody", f"{value!r} stands for nobody; touchpoints never keep it", "/identity")
    return Wanted(namespace, found[namespace])


def person_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Rejected("invalid_person_id", "a person_id is a UUID, as answers give it", "/identity") from None


def at_us(given: Mapping[str, str], now_us: int) -> int:
    """The moment `at`, now unless given."""
    return parse_time_us(given["at"], "/at") if "at" in given else now_us


def journey_filters(given: Mapping[str, str], now_us: int, timeout_us: int) -> dict[str, object]:
    """The filters of a list of journeys; `open` is by now."""
    filters = _span(given)
    for name in ("stage", "furthest"):
        if name in given:
            filters[name] = _stage(given[name], name)
    if "channel" in given:
        filters["channel"] = given["channel"]
    if "open" in given:
        filters["heard_since_us" if flag(given, "open") else "silent_since_us"] = now_us - timeout_us
    return filters


def case_filters(given: Mapping[str, str]) -> dict[str, object]:
    """The filters of a list of cases."""
    filters = {**_span(given), **{name: given[name] for name in ("system", "case_id", "topic") if name in given}}
    if "resolved" in given:
        filters["resolved"] = flag(given, "resolved")
    return filters


def suspected(given: Mapping[str, str]) -> None:
    """A list of people is one of those who are set aside. Raises Rejected for any other."""
    if "suspected_bot" not in given or not flag(given, "suspected_bot"):
        raise Rejected("invalid_flag", "list people with suspected_bot=true; others are found by an identity", "/suspected_bot")


def sample(given: Mapping[str, str], usual: int) -> int | None:
    """How many people to check; None for all."""
    text = given.get("sample", str(usual))
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise Rejected("invalid_sample", "sample is a whole number of people, or all", "/sample")
    return int(text)


def _span(given: Mapping[str, str]) -> dict[str, object]:
    return {f"{name}_us": parse_time_us(given[name], f"/{name}") for name in ("since", "until") if name in given}


def _stage(text: str, name: str) -> int:
    for index, stage in enumerate(STAGES):
        if stage == text:
            return index
    raise Rejected("unknown_stage", f"{name} is one of {', '.join(STAGES)}", f"/{name}")
