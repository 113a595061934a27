"""The vocabulary: what each known event type means. Its content is data, in `vocabulary.json` beside this file.

A vocabulary file has two tables. `facets` are rules for filling a facet from a touchpoint's `properties`:

    "order": {"fills": "order", "take": {"order_id": ["order_id", "orderId"], "items": ["products"]}, "each": {"product_id": ["sku"]}}

`take` gives, for a field of the facet, the properties to look at, the first that fits; `each` does so inside the elements of
`items`. `types` gives each type its `stage`, `channel`, `actor` and `facet` (a rule's name), with `default` for fields of the
facet that the properties leave open. `like` starts from another type:

    "shop.sale": {"like": "order_completed", "channel": "store"}

A user's file has the same form. A type that exists already keeps what the user's entry does not name; null takes away.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from schemas import touchpoint
from schemas.touchpoint import Actor, ChannelName, Stage
from services.shared.errors import Misconfigured

T = TypeVar("T")
BUILT_IN = Path(__file__).with_name("vocabulary.json")
FacetName = Literal["order", "case", "survey", "experiment", "recommendation", "referral", "review", "outreach", "article"]
FACETS: Mapping[str, type[Struct]] = MappingProxyType(
    {
        "order": touchpoint.Order,
        "case": touchpoint.Case,
        "survey": touchpoint.Survey,
        "experiment": touchpoint.Experiment,
        "recommendation": touchpoint.Recommendation,
        "referral": touchpoint.Referral,
        "review": touchpoint.Review,
        "outreach": touchpoint.Outreach,
        "article": touchpoint.Article,
    }
)


class FacetRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Which facet the properties fill, and from which of them; `default` is what they may leave open."""

    fills: FacetName
    take: dict[str, list[str]]
    each: dict[str, list[str]] = {}
    default: dict[str, Any] = {}


class Entry(Struct, frozen=True):
    """What the vocabulary says of one type; None where it says nothing."""

    stage: Stage | None = None
    channel: str | None = None
    actor: Actor | None = None
    facet: FacetRule | None = None


class _Type(Struct, frozen=True, forbid_unknown_fields=True):
    stage: Stage | None = None
    channel: ChannelName | None = None
    actor: Actor | None = None
    facet: str | None = None
    default: dict[str, Any] | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    about: str = ""
    facets: dict[str, dict[str, Any]] = {}
    types: dict[str, dict[str, Any]] = {}


_NOTHING = Entry()


class Vocabulary:
    """Entries by type."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    def entry(self, type: str) -> Entry:
        """What is known of a type; an empty entry for a type that is not in the vocabulary."""
        return self._entries.get(type, _NOTHING)

    def types(self) -> list[str]:
        """Every type that it knows, sorted."""
        return sorted(self._entries)


def load(path: Path | None = None) -> Vocabulary:
    """The built-in vocabulary, extended and overridden by the file at `path`. Raises Misconfigured, naming file and entry."""
    built_in = _read(BUILT_IN)
    user = _read(path) if path is not None else _File()
    where = path or BUILT_IN
    rules = {name: _rule(name, raw, where) for name, raw in {**built_in.facets, **user.facets}.items()}
    types = dict(built_in.types)
    for name, raw in user.types.items():
        types[name] = raw if "like" in raw else {**types.get(name, {}), **raw}
    return Vocabulary({name: _entry(name, types, rules, where) for name in types})


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise Misconfigured(f"the vocabulary {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the vocabulary {path} is not in the form of a vocabulary: {error}") from None


def _rule(name: str, raw: dict[str, Any], where: Path) -> FacetRule:
    rule = _converted(raw, FacetRule, f"the vocabulary {where}, facet rule {name!r}")
    fields = set(FACETS[rule.fills].__struct_fields__)
    items = set(touchpoint.OrderItem.__struct_fields__)
    unknown = sorted((rule.take.keys() | rule.default.keys()) - fields) + sorted(rule.each.keys() - items)
    if unknown:
        raise Misconfigured(f"the vocabulary {where}, facet rule {name!r}: {rule.fills} has no field {', '.join(unknown)}")
    return rule


def _entry(name: str, types: dict[str, dict[str, Any]], rules: dict[str, FacetRule], where: Path) -> Entry:
    what = f"the vocabulary {where}, type {name!r}"
    found = _converted(_resolved(name, types, what), _Type, what)
    if found.facet is None:
        return Entry(found.stage, found.channel, found.actor)
    rule = rules.get(found.facet)
    if rule is None:
        raise Misconfigured(f"{what}: there is no facet rule {found.facet!r}; there are {', '.join(sorted(rules))}")
    default = rule.default | (found.default or {})
    types_of = _types_of(rule.fills)
    for field, value in default.items():
        if field not in types_of:
            raise Misconfigured(f"{what}: {rule.fills} has no field {field}")
        _converted(value, types_of[field], f"{what}, default {field!r}")
    return Entry(found.stage, found.channel, found.actor, msgspec.structs.replace(rule, default=default))


@cache
def _types_of(facet: str) -> Mapping[str, Any]:
    """The types of a facet's fields: of the same for hundreds of entries, and slow to find."""
    return {field.name: field.type for field in msgspec.structs.fields(FACETS[facet])}


def _resolved(name: str, types: dict[str, dict[str, Any]], what: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The entry with everything that it takes over from the one that it is `like`."""
    own = dict(types[name])
    like = own.pop("like", None)
    if like is None:
        return own
    if like in seen or like == name:
        raise Misconfigured(f"{what}: `like` goes round in a circle through {like!r}")
    if not isinstance(like, str) or like not in types:
        raise Misconfigured(f"{what}: it is `like` {like!r}, which is not in the vocabulary")
    base = _resolved(like, types, what, (*seen, name))
    if "facet" in own:
        base.pop("default", None)
    return base | own


def _converted(raw: Any, type: type[T], what: str) -> T:
    try:
        return msgspec.convert(raw, type)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{what}: {error}") from None
