"""Other ways in which somebody may have written the same e-mail address or phone number. Pure, and bounded: a guess, not a proof."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

MAX_DOTS = 2
"""With how many dots an address is tried."""
LONG = 16
"""From this length of the local part on, it is tried with one dot at most: two would be hundreds of ways."""
EQUAL_DOMAINS = {"googlemail.com": "gmail.com", "gmail.com": "googlemail.com"}


def spellings(identity: str) -> list[str]:
    """Other identities that are likely the same: of an e-mail address with other dots, of a phone number as it is written elsewhere."""
    namespace, _, value = identity.partition(":")
    found: list[str] = []
    if namespace == "email":
        found = [f"email:{local}@{domain}" for local in _locals(value) for domain in _domains(value)]
    elif namespace == "phone":
        found = [f"phone:{number}" for number in _numbers(value)]
    return [one for one in dict.fromkeys(found) if one != identity]


def tagged(identity: str) -> list[str]:
    """What tagged spellings of an e-mail address begin with (`email:a.b+`); they are the same only if `bare` says so."""
    namespace, _, value = identity.partition(":")
    return [f"email:{local}+" for local in _locals(value, 1)] if namespace == "email" else []


def bare(identity: str) -> str:
    """An e-mail address without tag and dots: equal for two that are likely the same."""
    local, _, domain = identity.removeprefix("email:").rpartition("@")
    return f"{_bare(local)}@{EQUAL_DOMAINS.get(domain, domain) if domain.startswith('google') else domain}"


def _bare(local: str) -> str:
    return local.partition("+")[0].replace(".", "")


def _locals(address: str, most_dots: int = MAX_DOTS) -> Iterator[str]:
    local, at, _ = address.rpartition("@")
    letters = _bare(local)
    if not at or not letters:
        return
    places = range(1, len(letters))
    for dots in range(1 + min(most_dots, MAX_DOTS if len(letters) < LONG else 1)):
        for chosen in combinations(places, dots):
            cuts = [0, *chosen, len(letters)]
            yield ".".join(letters[start:end] for start, end in pairwise(cuts))


def _domains(address: str) -> list[str]:
    domain = address.rpartition("@")[2]
    return [domain, EQUAL_DOMAINS[domain]] if domain in EQUAL_DOMAINS else [domain]


def _numbers(text: str) -> Iterator[str]:
    import phonenumbers

    digits = "".join(filter(str.isdigit, text))
    yield digits
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return
    yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    yield national
    yield "".join(filter(str.isdigit, national))
