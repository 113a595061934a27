"""Personal-data rules of a source: listed fields of each item are dropped, or replaced by a keyed hash, before anything else sees it.

A path is dotted (`identities.email`) or a JSON pointer (`/properties/a.b`); `*` stands for every item of an array and every field of
an object. What a path names may be anything: of an object or an array, all text and all numbers in it are hashed. Everything else
stays as it was sent, byte for byte but for the spaces around it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw

from schemas.normal import Identities, number_text
from services.ingest.domain import exact
from services.ingest.domain.alias import ALIAS, split_name
from services.shared.errors import Rejected

Action = Literal["drop", "hash"]
Tree = dict[str, "Tree | Action"]
ANY = "*"
_HASHED = re.compile(r"hashed-[a-p]{32}")
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_VALUE: msgspec.json.Decoder[str | int | float | bool | None] = msgspec.json.Decoder(str | int | float | bool | None)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_BY_NAME = ("email", "phone")
"""Fields that have one form wherever they stand."""


class Redacted(NamedTuple):
    """An item after the rules. `is_readable`: without it nobody can tell which bytes are what, and they may not be kept as they are.

    `problem` is what could not be told from the bytes any more.
    """

    raw: bytes
    is_readable: bool
    problem: Rejected | None


def parse_rules(paths: Mapping[str, Action]) -> Tree:
    """The rules as a tree. Raises ValueError, naming the path that is wrong."""
    tree: Tree = {}
    for path, action in paths.items():
        steps = _steps(path)
        if not all(steps):
            raise ValueError(f"{path!r} is no path; write it like identities.email or /properties/ssn")
        *way, last = steps
        node = tree
        for step in way:
            below = node.setdefault(step, {})
            if isinstance(below, str):
                raise ValueError(f"{path!r} lies in what another rule takes as a whole")
            node = below
        if last in node:
            raise ValueError(f"{path!r} is there twice, or holds what another rule names")
        node[last] = action
    return _spread(tree)


def _spread(tree: Tree) -> Tree:
    """What `*` says holds for the fields with rules of their own as well."""
    common = tree.get(ANY)
    spread = {step: rule if step == ANY or common is None else _both(rule, common) for step, rule in tree.items()}
    return {step: rule if isinstance(rule, str) else _spread(rule) for step, rule in spread.items()}


def _both(one: Tree | Action, other: Tree | Action) -> Tree | Action:
    """Two rules for one thing: the one that leaves less of it."""
    if isinstance(one, dict) and isinstance(other, dict):
        common = {step: _both(one[step], other[step]) for step in one.keys() & other.keys()}
        return {**one, **other, **common}
    return "drop" if "drop" in (one, other) else "hash"


def _steps(path: str) -> list[str]:
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


class Redaction:
    """The rules of one source. `key` is the installation's own; the same value gives the same hash everywhere in it."""

    def __init__(self, rules: Tree, key: bytes, identities: Identities) -> None:
        self._rules, self._key, self._identities = rules, key, identities

    def __call__(self, raw: bytes) -> Redacted:
        """Idempotent: what is hashed already stays."""
        try:
            exact.check_depth(raw)
            problem = None
            exact.check_text(raw)
        except Rejected as reason:
            problem = reason
            if reason.code == "duplicate_key":  # one of the two would be lost, and the item would look as if it were good
                return Redacted(raw, False, problem)
        try:
            return Redacted(self._with_names(self._apply(raw, self._rules, ())), True, problem)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Redacted(raw, False, problem)

    def hashed(self, name: str, value: str | int | float) -> str | None:
        """The hash of a field's value in its normal form; None for what stands for nobody, which tells nothing."""
        text = value if isinstance(value, str) else number_text(value)
        if _HASHED.fullmatch(text.strip()):
            return text.strip()
        normal = self._identities.value(name, value)
        return None if normal is None else hashed(normal, self._key)

    def _apply(self, raw: bytes, rules: Tree, way: tuple[str, ...]) -> bytes:
        match raw.lstrip()[:1]:
            case b"{":
                fields = _OBJECT.decode(raw)
                return msgspec.json.encode(
                    {
                        name: Raw(kept)
                        for name, value in fields.items()
                        if (kept := self._kept(value, rules.get(name, rules.get(ANY)), (*way, name))) is not None
                    }
                )
            case b"[":
                values = (self._kept(value, rules.get(ANY), way) for value in _ARRAY.decode(raw))
                return msgspec.json.encode([Raw(kept) for kept in values if kept is not None])
        _VALUE.decode(raw)
        return raw

    def _with_names(self, raw: bytes) -> bytes:
        """The identities that an item names in other fields follow the rules of `identities`: else they would be told, and match nobody."""
        if "identities" not in self._rules and ANY not in self._rules:
            return raw
        if raw.lstrip()[:1] != b"{" or not (b"previous_id" in raw or b"referred_by" in raw or b"\\u" in raw):
            return raw
        fields = _OBJECT.decode(raw)
        if "type" in fields and msgspec.json.decode(fields["type"]) == ALIAS:
            self._rename(fields, "properties", "previous_id")
        self._rename(fields, "referral", "referred_by")
        return msgspec.json.encode(fields)

    def _rename(self, fields: dict[str, Raw], facet: str, name: str) -> None:
        if facet in fields and bytes(fields[facet]).lstrip()[:1] == b"{":
            inner = _OBJECT.decode(fields[facet])
            if name in inner:
                kept = self._named(inner[name])
                rest = {field: value if field != name else Raw(kept or b"null") for field, value in inner.items()}
                fields[facet] = Raw(msgspec.json.encode(rest))

    def _named(self, raw: Raw) -> bytes | None:
        """What is left of `namespace:value`, None for nothing."""
        if bytes(raw).lstrip()[:1] in (b"{", b"["):
            return bytes(raw)
        value = _VALUE.decode(raw)
        if value is None or isinstance(value, bool):
            return bytes(raw)
        namespace, bare = split_name(value)
        rules = self._rules.get("identities", self._rules.get(ANY))
        rule = rules.get(namespace, rules.get(ANY)) if isinstance(rules, dict) else rules
        digest = self.hashed(namespace, bare) if rule == "hash" else None
        if digest is None:
            return None if rule == "drop" else bytes(raw)
        return msgspec.json.encode(digest if bare is value else f"{namespace}:{digest}")

    def _kept(self, value: Raw, rule: Tree | Action | None, way: tuple[str, ...]) -> bytes | None:
        """What is left of a value, None for nothing."""
        match rule:
            case None:
                return bytes(value)
            case "drop":
                return None
            case "hash":
                return self._hash_all(bytes(value), way)
        return self._apply(bytes(value), rule, way)

    def _hash_all(self, raw: bytes, way: tuple[str, ...]) -> bytes:
        match raw.lstrip()[:1]:
            case b"{":
                fields = _OBJECT.decode(raw)
                return msgspec.json.encode(
                    {name: Raw(self._hash_all(bytes(inner), (*way, name))) for name, inner in fields.items()}
                )
            case b"[":
                return msgspec.json.encode([Raw(self._hash_all(bytes(inner), way)) for inner in _ARRAY.decode(raw)])
        value = _VALUE.decode(raw)
        if value is None or isinstance(value, bool):
            return raw
        name = way[-1] if way[-1] in _BY_NAME or (len(way) > 1 and way[-2] == "identities") else ""
        digest = self.hashed(name, value)
        return raw if digest is None else msgspec.json.encode(digest)


def hashed(normal: str, key: bytes) -> str:
    """`hashed-` and 32 letters: no digits, so that nobody takes it for a phone number."""
    return "hashed-" + hmac.digest(key, normal.encode(), hashlib.sha256).hex()[:32].translate(_LETTERS)
