"""A rejected record → what is published when it is tried again, by today's rules.

It keeps its id and the moment at which it was received, so that trying twice publishes the same bytes twice, which count once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Raw

from schemas.commands import Command
from schemas.normal import Identities
from schemas.times import check_time, parse_time_us
from schemas.topics import COMMANDS, REJECTED, TOUCHPOINTS
from services.ingest.domain import exact
from services.ingest.domain.accept import Arrival, Keyed, accept
from services.ingest.domain.ids import keyed
from services.ingest.domain.kept import Kept
from services.ingest.domain.redact import Redacted
from services.shared.errors import Rejected

STAMPS = ("source", "system", "received_at", "previous")
"""What ingest had added to a touchpoint that another room refused."""
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_COMMAND = msgspec.json.Decoder(Command)
_ENCODER = msgspec.json.Encoder()


class Outgoing(NamedTuple):
    """What a record comes to: `id` of the touchpoint or command, and what is to be published, each with its topic."""

    id: str
    records: list[tuple[str, Keyed]]


class Rules(NamedTuple):
    """What an item is tried by: how identities are normalised, which sources are trusted now, and their personal-data rules."""

    identities: Identities
    is_trusted: Callable[[str], bool]
    redact: Callable[[str], Callable[[bytes], Redacted] | None]


def again(kept: Kept, mended: bytes | None, rules: Rules) -> Outgoing:
    """Try a record again, or another body in its place. Raises Rejected with the reason of today."""
    body = mended if mended is not None else kept.body
    if body is None:
        raise Rejected("not_kept", "the original bytes could not be kept; send a body in their place")
    match kept.topic:
        case None:
            return _touchpoint(body, _arrival(kept, kept.source, kept.system or kept.source, kept.at_us, rules), rules)
        case "touchpoints":
            rest, arrival = _unstamped(kept, body, rules)
            return _touchpoint(rest, arrival, rules)
        case "commands":
            return _command(body, rules.identities)
    raise Rejected("not_replayable", _NOT_REPLAYABLE.get(kept.topic, f"ingest does not publish on {kept.topic}"))


_NOT_REPLAYABLE = {
    "journeys": "only journey publishes on journeys; `waypost rebuild journey` publishes everybody anew",
    REJECTED: "nobody can tell what this was; if it is a touchpoint, post it as one",
}


def _id_of(kept: Kept) -> Callable[[int], str]:
    """The id of an item without one: what its request would have given it, always the same."""
    item_id = kept.item_id
    return keyed(kept.source, f"rejected {kept.id}") if item_id is None else lambda _: item_id


def _arrival(kept: Kept, source: str, system: str, received_us: int, rules: Rules) -> Arrival:
    return Arrival(source, system, received_us, _id_of(kept), rules.is_trusted(source), rules.redact(source))


def _touchpoint(raw: bytes, arrival: Arrival, rules: Rules) -> Outgoing:
    batch = accept([raw], arrival, rules.identities)
    (result,) = batch.results
    if result.code is not None or result.id is None:
        raise Rejected(result.code or "invalid", result.message or "", result.pointer or "")
    commands = [(COMMANDS, record) for record in batch.commands]
    return Outgoing(result.id, commands + [(TOUCHPOINTS, record) for record in batch.touchpoints])


def _unstamped(kept: Kept, body: bytes, rules: Rules) -> tuple[bytes, Arrival]:
    """A touchpoint as it was posted, and its request. Stamps that a mended body leaves out are those of the original."""
    fields = _object(body)
    stamps = {name: _text_of(fields.pop(name)) for name in STAMPS if name in fields}
    if len(stamps) < len(STAMPS) and kept.body is not None and kept.body != body:
        stamps = {**_stamps_of(kept.body), **stamps}
    try:
        source, system, received_at = stamps["source"], stamps["system"], stamps["received_at"]
    except KeyError as error:
        name = str(error.args[0])
        raise Rejected("missing_field", f"a touchpoint of the bus says its {name}", f"/{name}") from None
    received_us = parse_time_us(received_at, "/received_at")
    return _ENCODER.encode(fields), _arrival(kept, source, system, received_us, rules)


def _stamps_of(original: bytes) -> dict[str, str]:
    try:
        fields = _object(original)
        return {name: _text_of(fields[name]) for name in STAMPS if name in fields}
    except Rejected:
        return {}


def _object(raw: bytes) -> dict[str, Raw]:
    exact.check_depth(raw)
    exact.check_text(raw)
    try:
        return _OBJECT.decode(raw)
    except msgspec.DecodeError:
        raise Rejected("wrong_type", "a touchpoint is a JSON object") from None


def _text_of(raw: Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        raise Rejected("wrong_type", "source, system and received_at are text") from None


def _command(raw: bytes, identities: Identities) -> Outgoing:
    """A command as it is published, with normal identities."""
    try:
        command = _COMMAND.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_command", f"this is no command as rooms publish it: {error}") from None
    check_time(command.at, "/at")
    is_pair = command.action in ("link", "unlink")
    if not command.id or not command.identities or (is_pair and len(set(command.identities)) != 2):
        raise Rejected("invalid_command", "a command has an id and names an identity, a link or unlink two", "/identities")
    normal = [identities.name(name, f"/identities/{place}") for place, name in enumerate(command.identities)]
    command = msgspec.structs.replace(command, identities=normal)
    return Outgoing(command.id, [(COMMANDS, Keyed(command.key, _ENCODER.encode(command)))])
