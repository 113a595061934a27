"""Identities in their one normal form, so that two spellings of one person are one text.

Ingest normalises what it takes; whoever looks somebody up by an identity normalises it the same way first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from schemas.identity import MAX_VALUE, NAMESPACE, RESERVED
from schemas.pointers import escape
from services.shared.errors import Rejected

Value = str | int | float | None
NOBODY = frozenset(
    {
        "", "null", "(null)", "undefined", "none", "nil", "nan", "n/a", "(not set)", "[object object]", "true", "false",
        "anonymous", "unknown", "guest", "not_authenticated",
    }
)  # fmt: skip
"""What senders write when they don't know who it is, in lower case."""
_LONGEST = max(map(len, NOBODY))
_ZEROS = ("", "0", "-")


class Identities:
    """Normalises identities. `region` (ISO 3166, may be "") reads phone numbers without a country code; `nobody` lists further
    identities (`email:info@shop.example`) that stand for nobody."""

    def __init__(self, region: str = "", nobody: Iterable[str] = ()) -> None:
        self._region = region or None
        self._nobody: frozenset[str] = frozenset()
        self._nobody = frozenset(self._normal_text(text) for text in nobody)

    def normalise(self, given: Mapping[str, Value]) -> dict[str, str]:
        """Every identity that stands for somebody, NFC, trimmed, e-mail in lower case, phone as E.164, numbers as text.

        Idempotent. Raises Rejected (invalid_namespace, reserved_namespace, identity_too_long) with a pointer.
        """
        normal: dict[str, str] = {}
        for namespace, value in given.items():
            if not _is_namespace(namespace):
                raise _bad_namespace(namespace)
            text = self.value(namespace, value)
            if text is None:
                continue
            if len(text) > MAX_VALUE:
                message = f"an identity may have {MAX_VALUE} characters, this one has {len(text):,}"
                raise Rejected("identity_too_long", message, f"/identities/{escape(namespace)}")
            normal[namespace] = text
        return normal

    def name(self, text: str, pointer: str = "") -> str:
        """One identity `namespace:value` in its normal form; orders and cases are `order:SYSTEM/ID` and `case:SYSTEM/ID`, as they came.

        Raises Rejected (invalid_identity, invalid_namespace, reserved_namespace, identity_too_long, identity_of_nobody) at `pointer`.
        """
        namespace, colon, value = text.partition(":")
        if not colon or "\0" in value:
            raise Rejected("invalid_identity", "write an identity as namespace:value, such as customer_id:c-42", pointer)
        if namespace in ("order", "case"):
            return _thing(namespace, value, pointer)
        try:
            normal = self.normalise({namespace: value})
        except Rejected as error:
            raise Rejected(error.code, error.message, pointer) from None
        if namespace not in normal:
            raise Rejected("identity_of_nobody", f"{value!r} stands for nobody; touchpoints never keep it", pointer)
        return f"{namespace}:{normal[namespace]}"

    def value(self, namespace: str, value: Value) -> str | None:
        """The normal form of one value; None if it stands for nobody."""
        if value is None:
            return None
        if not isinstance(value, str):
            value = number_text(value)
        text = value.strip() if value.isascii() else unicodedata.normalize("NFC", value).strip()
        if namespace == "email":
            text = text.lower() if text.isascii() else unicodedata.normalize("NFC", text.lower())
        elif namespace == "phone":
            text = e164(text, self._region)
        if stands_for_nobody(text) or (self._nobody and f"{namespace}:{text}" in self._nobody):
            return None
        return text

    def _normal_text(self, identity: str) -> str:
        namespace, _, value = identity.partition(":")
        return f"{namespace}:{self.value(namespace, value)}"


def _thing(namespace: str, value: str, pointer: str) -> str:
    """An order or a case: its system, and its number there."""
    system, slash, number = value.partition("/")
    if not slash or not system or stands_for_nobody(number.strip()):
        raise Rejected("invalid_identity", f"write it as {namespace}:SYSTEM/ID, such as {namespace}:zendesk/9", pointer)
    if len(system) > MAX_VALUE or len(number) > MAX_VALUE:
        raise Rejected("identity_too_long", f"a system and a number may have {MAX_VALUE} characters each", pointer)
    return f"{namespace}:{value}"


def stands_for_nobody(text: str) -> bool:
    """Whether a trimmed value is one of those that senders write for nobody, or all zeros."""
    return (text[:1] in _ZEROS and not text.strip("0-")) or (len(text) <= _LONGEST and text.lower() in NOBODY)


@lru_cache(maxsize=1024)
def _is_namespace(text: str) -> bool:
    return NAMESPACE.fullmatch(text) is not None and text not in RESERVED


def _bad_namespace(text: str) -> Rejected:
    pointer = f"/identities/{escape(text)}"
    if text in RESERVED:
        return Rejected(
            "reserved_namespace", f"{text!r} is made by Waypost itself; orders and cases go into their facets", pointer
        )
    return Rejected(
        "invalid_namespace", "a namespace is a lower-case name of at most 40 letters, digits and underscores", pointer
    )


def number_text(value: int | float) -> str:
    """As JavaScript writes it: 42.0 is 42, and whole numbers have no exponent below 10²¹."""
    return str(int(value)) if abs(value) < 1e21 and value == int(value) else repr(value)


@lru_cache(maxsize=65_536)
def e164(text: str, region: str | None) -> str:
    """A phone number as +COUNTRYNUMBER; what can't be one stays as it is. Reading a number takes 50 µs, so they are kept."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number):
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
