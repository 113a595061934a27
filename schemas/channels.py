"""The rules that give a visit its marketing channel. Their content is data, in `channels.toml` beside this file.

A rule has a `channel` and conditions; all of them must hold, and the first such rule counts:

    [[rules]]
    channel = "paid_search_brand"
    medium = ["cpc", "ppc"]
    campaign = ["*brand*"]

`source`, `medium`, `campaign` (its name), `term` and `content` look at the campaign, `referrer` at the referring host,
`path` at the page's path, `parameter` at the names of the page URL's query parameters (any of them). A condition is a list of
patterns: text with `*` for any text and `?` for one character, "" for nothing given, `.example.com` for that host and
everything under it, `@name` for a group of `[groups]`; patterns with a leading `!` must not match. `otherwise` is the channel
when no rule holds. `internal` lists referring hosts that count as none.

A user's file has the same form: its rules come before the built-in ones (`replace = true`: instead of them), a group of the same
name takes the place of the built-in one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fnmatch import translate
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from services.shared.errors import Misconfigured

BUILT_IN = Path(__file__).with_name("channels.toml")
ChannelLabel = Annotated[str, Meta(min_length=1, max_length=100)]
Patterns = Annotated[list[str], Meta(min_length=1)]


class _Conditions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    channel: ChannelLabel
    source: Patterns | None = None
    medium: Patterns | None = None
    campaign: Patterns | None = None
    term: Patterns | None = None
    content: Patterns | None = None
    referrer: Patterns | None = None
    path: Patterns | None = None
    parameter: Patterns | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rules: list[_Conditions] = []
    groups: dict[str, list[str]] = {}
    internal: list[str] = []
    otherwise: ChannelLabel | None = None
    replace: bool = False


class Condition:
    """Patterns, compiled: text fits if one matches and no `!` pattern does (only `!` patterns: if none of them does)."""

    __slots__ = ("_no", "_yes")

    def __init__(self, patterns: list[str], groups: Mapping[str, list[str]]) -> None:
        wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
        self._yes = _compiled(wanted, groups) if wanted else None
        self._no = _compiled([pattern[1:] for pattern in patterns if pattern.startswith("!")], groups)

    def fits(self, text: str) -> bool:
        """Whether lower-case text, "" for nothing given, meets the condition."""
        return (self._yes is None or self._yes(text)) and not self._no(text)


class Rule(Struct, frozen=True, eq=False):
    """A channel and its conditions by what they look at."""

    channel: str
    conditions: dict[str, Condition]


class ChannelRules(Struct, frozen=True, eq=False):
    """The rules in the order in which they are tried. `internal` fits the referring hosts that count as none."""

    rules: tuple[Rule, ...]
    internal: Condition
    otherwise: str


def load(path: Path | None = None) -> ChannelRules:
    """The built-in rules, after or replaced by those in the file at `path`. Raises Misconfigured, naming the file and the place."""
    built_in = _read(BUILT_IN)
    user = _read(path) if path is not None else _File()
    groups = built_in.groups | user.groups
    kept = [] if user.replace else built_in.rules
    try:
        return ChannelRules(
            tuple(_rule(conditions, groups) for conditions in [*user.rules, *kept]),
            Condition(user.internal + built_in.internal or [""], groups),
            user.otherwise or built_in.otherwise or "other",
        )
    except KeyError as error:
        raise Misconfigured(f"the channel rules {path or BUILT_IN}: there is no group {error.args[0]!r} in [groups]") from None


def _read(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except OSError as error:
        raise Misconfigured(f"the channel rules {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the channel rules {path} are not in the form of channel rules: {error}") from None


def _rule(conditions: _Conditions, groups: Mapping[str, list[str]]) -> Rule:
    given = msgspec.structs.asdict(conditions)
    channel = given.pop("channel")
    return Rule(channel, {field: Condition(patterns, groups) for field, patterns in given.items() if patterns is not None})


class _Matcher:
    """One regular expression for all patterns of a condition."""

    __slots__ = ("_match",)

    def __init__(self, patterns: list[str]) -> None:
        self._match = re.compile("|".join(map(_expression, patterns))).fullmatch if patterns else None

    def __call__(self, text: str) -> bool:
        return self._match is not None and self._match(text) is not None


def _compiled(patterns: list[str], groups: Mapping[str, list[str]]) -> _Matcher:
    flat: list[str] = []
    for pattern in patterns:
        flat += groups[pattern[1:]] if pattern.startswith("@") else [pattern]
    return _Matcher(flat)


def _expression(pattern: str) -> str:
    if pattern.startswith("."):
        return rf"(?:.*\.)?{translate(pattern[1:].lower())}"
    return translate(pattern.lower())
