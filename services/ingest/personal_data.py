"""The personal-data rules of all sources, from the settings `personal_data` and `personal_data_key`."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.normal import Identities
from services.ingest.domain.redact import Action, Redaction, hashed, parse_rules
from services.shared.errors import Misconfigured

EVERY_SOURCE = "*"
MIN_KEY = 16


class PersonalData:
    """What each source's items lose before anything else sees them. The rules of `*` hold for every source beside its own."""

    def __init__(self, rules: Mapping[str, Mapping[str, Action]], key: str, identities: Identities) -> None:
        """Raises Misconfigured for rules that make no sense, and for hashes without a key."""
        self._key = key.encode()
        if any("hash" in paths.values() for paths in rules.values()) and len(key) < MIN_KEY:
            raise Misconfigured(f"WAYPOST_PERSONAL_DATA hashes; set WAYPOST_PERSONAL_DATA_KEY to {MIN_KEY} characters or more")
        common = rules.get(EVERY_SOURCE, {})
        self._common = self._redaction(EVERY_SOURCE, common, identities) if common else None
        self._of = {source: self._redaction(source, {**common, **own}, identities) for source, own in rules.items()}

    def of(self, source: str) -> Redaction | None:
        """None for a source without rules."""
        return self._of.get(source, self._common)

    def also(self, identity: str) -> list[str]:
        """An identity in its normal form, and as these rules may have hashed it."""
        if not self._key:
            return [identity]
        namespace, _, value = identity.partition(":")
        return [identity, f"{namespace}:{hashed(value, self._key)}"]

    def _redaction(self, source: str, paths: Mapping[str, Action], identities: Identities) -> Redaction:
        try:
            return Redaction(parse_rules(paths), self._key, identities)
        except ValueError as error:
            raise Misconfigured(f"WAYPOST_PERSONAL_DATA of {source}: {error}") from None
