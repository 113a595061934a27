"""What a check has found: how much was looked at, and each difference as a person, a measure, what is expected and what was found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.shared.errors import Unavailable

EXAMPLES = 20
WAITING = 1000
"""Differences that are kept for whoever takes them one by one; further ones are counted only."""
Difference = dict[str, Any]
"""`person_id` ("" where many people are concerned), `what`, `expected`, `found`, and what else says where."""


@dataclass
class Checked:
    """Of `checked` things `mismatches` are not as they should be; `examples` are the first of them."""

    checked: int = 0
    mismatches: int = 0
    examples: list[Difference] = field(default_factory=list)
    _fresh: list[Difference] = field(default_factory=list)

    def compare(self, person_id: str, what: str, found: object, expected: object, **where: object) -> None:
        """Note a difference, if it is one."""
        if found != expected:
            self.mismatches += 1
            self._keep({"person_id": person_id, "what": what, "expected": _shown(expected), "found": _shown(found), **where})

    def compare_all(self, person_id: str, what: str, found: Mapping[Any, object], expected: Mapping[Any, object]) -> None:
        """Compare by key; what is missing is None."""
        for key in sorted(found.keys() | expected.keys()):
            name = "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
            self.compare(person_id, f"{what}: {name}", found.get(key), expected.get(key))

    def take(self) -> list[Difference]:
        """The differences since this was asked last."""
        taken, self._fresh = self._fresh, []
        return taken

    @contextmanager
    def reading(self, person_id: str, what: str) -> Iterator[None]:
        """What cannot be read is a difference, too, and no reason to stop."""
        try:
            yield
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - bytes that were corrupted may raise anything; it is reported as what it is
            self.compare(person_id, what, f"cannot be read: {type(error).__name__}: {error}", "readable")

    def _keep(self, difference: Difference) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(difference)
        if len(self._fresh) < WAITING:
            self._fresh.append(difference)


def finished(steps: Iterable[Checked]) -> Checked:
    """The end of a check that tells of itself as it goes on."""
    return deque(steps, maxlen=1).pop()


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, str)) else repr(value)
