"""The way of an item through ingest: decode → check → normalise → encode → one outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from schemas.commands import Command
from schemas.identity import ranked_identities
from schemas.ids import NewId
from schemas.normal import Identities, Value
from schemas.rejected import MAX_TEXT, RejectedRecord, original
from schemas.times import format_time
from services.ingest.domain import exact
from services.ingest.domain.alias import ALIAS, link_of, previous_of
from services.ingest.domain.check import check
from services.ingest.domain.decode import Posted, decode, id_of
from services.ingest.domain.redact import Redacted
from services.shared.errors import Rejected

Status = Literal["accepted", "duplicate", "rejected", "retry"]
_ENCODER = msgspec.json.Encoder()


class Result(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one item. Until the bus holds it, that is "retry"."""

    index: int
    status: Status
    id: str | None = None
    code: str | None = None
    message: str | None = None
    pointer: str | None = None


class Keyed(NamedTuple):
    """A record for the bus."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: who sent it, when it came (microseconds), and how its touchpoints without an id get one.

    What a trusted source says of who is who is believed. `redact` applies the source's personal-data rules, where it has any.
    """

    source: str
    system: str
    received_us: int
    new_id: NewId
    is_trusted: bool = False
    redact: Callable[[bytes], Redacted] | None = None

    def stamp(self) -> bytes:
        """The fields of `Accepted` that ingest adds, as the beginning of a JSON object; the same for every item of a request."""
        fields = {"source": self.source, "system": self.system, "received_at": format_time(self.received_us)}
        return _ENCODER.encode(fields)[:-1] + b","


@dataclass(slots=True)
class Batch:
    """What a request came to: one result per item, in order, and the records that make the results true.

    `outcomes` is what each result becomes once the bus holds the records; until then it says "retry".
    """

    results: list[Result] = field(default_factory=list)
    outcomes: list[Status] = field(default_factory=list)
    touchpoints: list[Keyed] = field(default_factory=list)
    rejected: list[Keyed] = field(default_factory=list)
    commands: list[Keyed] = field(default_factory=list)

    def settle(self) -> None:
        """The bus holds every record (or there is nothing to hold): the results are final."""
        for result, outcome in zip(self.results, self.outcomes, strict=True):
            result.status = outcome


def accept(items: Sequence[bytes], arrival: Arrival, identities: Identities) -> Batch:
    """Give every item its outcome. The caller publishes `touchpoints`, `commands` and `rejected`, then settles."""
    batch = Batch()
    prefix = arrival.stamp()
    firsts: dict[str, bytes] = {}
    for index, raw in enumerate(items):
        is_readable = True
        try:
            if arrival.redact is not None:
                raw, is_readable, problem = arrival.redact(raw)
                if problem is not None:
                    raise problem
            touchpoint = decode(raw)
            check(touchpoint)
            normal = identities.normalise(touchpoint.identities)
            previous = previous_of(touchpoint, identities) if touchpoint.type == ALIAS else None
            anchor = _anchor(normal, touchpoint, arrival.system, previous)
            new_id = touchpoint.id or arrival.new_id(index)
            value = encode(raw, touchpoint, normal, new_id)
        except Rejected as reason:
            _refuse(batch, raw, reason, arrival, is_readable)
        else:
            if previous is not None:
                value = _with_previous(value, previous, normal)
                _join(batch, link_of(arrival.source, arrival.received_us, touchpoint, previous), arrival)
            _take(batch, new_id, Keyed(anchor, prefix + value[1:]), firsts)
    return batch


def encode(raw: bytes, touchpoint: Posted, normal: dict[str, str], new_id: str) -> bytes:
    """The touchpoint with its id and normal identities, without write keys, as JSON. Changes `touchpoint`.

    Raises Rejected("duplicate_key"), found for the price of counting quotes: a decoder that keeps the last of two equal keys
    loses at least the two quotes of a key. What is added here is accounted for, so nothing can make up for a loss; a plain
    loss (a null, a default) only costs the exact look.
    """
    quotes = raw.count(b'"')
    if touchpoint.id is None:
        touchpoint.id = new_id
        quotes += 4
    if normal != touchpoint.identities:
        quotes += _quotes_added(touchpoint.identities, normal)
        touchpoint.identities = {**normal}
    if touchpoint.write_key is not None or touchpoint.write_key_camel is not None:
        quotes -= 4 * ((touchpoint.write_key is not None) + (touchpoint.write_key_camel is not None))
        touchpoint.write_key = touchpoint.write_key_camel = None
    value = _ENCODER.encode(touchpoint)
    if value.count(b'"') != quotes:
        exact.check_text(raw)
    return value


def _quotes_added(given: Mapping[str, Value], normal: Mapping[str, str]) -> int:
    """By how many quotes the normal identities differ from those that came: numbers get two, nobodies take theirs along."""
    added = 0
    for namespace, value in given.items():
        if namespace not in normal:
            added -= 4 if isinstance(value, str) else 2
        elif not isinstance(value, str):
            added += 2
    return added


def _anchor(normal: dict[str, str], touchpoint: Posted, system: str, previous: str | None) -> bytes:
    """The bus key: the identity of the highest rank. Raises Rejected("no_identity") if there is none."""
    customer = normal.get("customer_id")
    if customer is not None:
        return b"customer_id:" + customer.encode()
    ranked = ranked_identities(normal, system, touchpoint.order, touchpoint.case, touchpoint.survey, previous)
    if not ranked:
        message = "name at least one identity that stands for somebody, or an order or a case"
        raise Rejected("no_identity", message, "/identities")
    return ranked[0].encode()


def _take(batch: Batch, touchpoint_id: str, record: Keyed, firsts: dict[str, bytes]) -> None:
    """Publish it, unless the very same came before in this request. A copy that differs goes on: it may know more identities."""
    first = firsts.setdefault(touchpoint_id, record.value)
    is_copy = first is not record.value
    batch.results.append(Result(len(batch.results), "retry", touchpoint_id))
    batch.outcomes.append("duplicate" if is_copy else "accepted")
    if not is_copy or (first != record.value and record not in batch.touchpoints):
        batch.touchpoints.append(record)


def _with_previous(value: bytes, previous: str, normal: Mapping[str, str]) -> bytes:
    """The touchpoint with what it names beside its identities, unless it is one of them."""
    namespace, _, name = previous.partition(":")
    if normal.get(namespace) == name:
        return value
    return _ENCODER.encode({"previous": previous})[:-1] + b"," + value[1:]


def _join(batch: Batch, link: Command | None, arrival: Arrival) -> None:
    """Only a trusted source may join two customers."""
    if link is not None and arrival.is_trusted:
        batch.commands.append(Keyed(link.key, _ENCODER.encode(link)))


def _refuse(batch: Batch, raw: bytes, reason: Rejected, arrival: Arrival, may_keep: bool) -> None:
    index, given_id = len(batch.results), id_of(raw)
    batch.results.append(Result(index, "retry", given_id, reason.code, reason.message, reason.pointer))
    batch.outcomes.append("rejected")
    record = RejectedRecord(
        source=arrival.source,
        code=reason.code,
        message=reason.message[:MAX_TEXT],
        pointer=reason.pointer[:MAX_TEXT],
        rejected_at=format_time(arrival.received_us),
        room="ingest",
        index=index,
        id=given_id or arrival.new_id(index),
        system=arrival.system,
        **original(raw, may_keep),
    )
    batch.rejected.append(Keyed(arrival.source.encode(), _ENCODER.encode(record)))
