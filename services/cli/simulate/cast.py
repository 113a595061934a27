"""Who lives in the year: kinds of people, and what they can be recognised by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from services.cli.simulate.story import Who

Kind = Literal["passer_by", "looker", "lead", "guest", "customer"]
SHARES: dict[Kind, float] = {"passer_by": 0.28, "looker": 0.17, "lead": 0.14, "guest": 0.06, "customer": 0.35}
"""Which part of all people is of which kind. Only guests and customers buy; only customers have an account."""
MARKETS = {"DE": 0.4, "AT": 0.15, "FR": 0.2, "NL": 0.15, "PL": 0.1}
SHARED_TABLET = 0.06
SHARED_MAILBOX = 0.03
"""Which part of the customers shares a tablet, or a mailbox, with the customer next to them."""


@dataclass(frozen=True, slots=True)
class Person:
    """`root` is the identity that stands for the person in the end: the highest-ranked that the year shows.

    `tablet` is a browser that somebody else in the household uses too; `shares_mailbox` says the same of `email`.
    """

    kind: Kind
    root: str
    cookie: str
    device: str
    email: str
    phone: str
    customer_id: str
    market: str
    tablet: str | None = None
    shares_mailbox: bool = False

    def in_browser(self, *, signed_in: bool = False) -> Who:
        return self._as(anonymous_id=self.cookie, **self._account(signed_in))

    def on_tablet(self, *, signed_in: bool = False) -> Who:
        assert self.tablet is not None
        return self._as(anonymous_id=self.tablet, **self._account(signed_in))

    def in_app(self, *, signed_in: bool = False) -> Who:
        return self._as(device_id=self.device, **self._account(signed_in))

    def by_mail(self) -> Who:
        return self._as(email=self.email)

    def by_phone(self) -> Who:
        return self._as(phone=self.phone)

    def by_account(self) -> Who:
        return self._as(customer_id=self.customer_id)

    def at_the_form(self) -> Who:
        """Signing up: everything that the form knows."""
        return self._as(anonymous_id=self.cookie, email=self.email, phone=self.phone, customer_id=self.customer_id)

    def leaving_an_address(self) -> Who:
        return self._as(anonymous_id=self.cookie, email=self.email)

    def unnamed(self) -> Who:
        """A message that knows only its order or its ticket."""
        return self._as()

    def _account(self, signed_in: bool) -> dict[str, str]:
        if not signed_in:
            return {}
        return {"customer_id": self.customer_id, **({"email": self.email} if self.shares_mailbox else {})}

    def _as(self, **seen: str) -> Who:
        return Who(self.root, seen)


def households(rng: Random, people: int) -> list[list[Person]]:
    """Everybody, in households of one, or of two customers who share something."""
    kinds = _kinds(rng, people)
    found: list[list[Person]] = []
    n = 0
    while n < people:
        together = _together(rng, n, kinds)
        found.append(together)
        n += len(together)
    return found


def _kinds(rng: Random, people: int) -> list[Kind]:
    kinds: list[Kind] = [kind for kind, share in SHARES.items() for _ in range(round(people * share))]
    kinds = (kinds + ["customer"] * people)[:people]
    rng.shuffle(kinds)
    return kinds


def _together(rng: Random, n: int, kinds: list[Kind]) -> list[Person]:
    one = _person(rng, n, kinds[n])
    if kinds[n : n + 2] != ["customer", "customer"]:
        return [one]
    other = _person(rng, n + 1, "customer")
    draw = rng.random()
    if draw < 2 * SHARED_TABLET:
        return [replace(one, tablet=f"tablet-{n:06d}"), replace(other, tablet=f"tablet-{n:06d}")]
    if draw < 2 * (SHARED_TABLET + SHARED_MAILBOX):
        return [replace(one, shares_mailbox=True), replace(other, shares_mailbox=True, email=one.email)]
    return [one, other]


def _person(rng: Random, n: int, kind: Kind) -> Person:
    cookie, email, customer_id = f"{rng.getrandbits(64):016x}", f"person.{n}@mail.example", f"c-{n:06d}"
    roots = {"lead": f"email:{email}", "guest": f"email:{email}", "customer": f"customer_id:{customer_id}"}
    return Person(
        kind=kind,
        root=roots.get(kind, f"anonymous_id:{cookie}"),
        cookie=cookie,
        device=f"app-{rng.getrandbits(48):012x}",
        email=email,
        phone=f"+49151{10_000_000 + n:08d}",
        customer_id=customer_id,
        market=rng.choices(list(MARKETS), list(MARKETS.values()))[0],
    )
