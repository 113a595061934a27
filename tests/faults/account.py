"""An account of what was acknowledged, kept by the sender alone, that an installation's answers are held against."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from schemas import tokens
from schemas.times import MINUTE_US, format_time
from tests.builders import START_US
from tests.faults.service import KEY, SOURCE
from tests.parts.installation import PATIENCE_S, Installation, ask, check
from tests.parts.processes import Process

EVER = {"from": "2026-01-01", "to": "2027-01-01", "grain": "none"}
PEOPLE = 30
Body = dict[str, Any]


def life(count: int, start: int = 0) -> list[Body]:
    """Touchpoints number `start` and so on: every tenth a sign-in, which brings an anonymous visitor's history along; every seventh an order."""
    rng = Random(start)
    bodies = []
    for n in range(start, start + count):
        who = rng.randrange(PEOPLE)
        identities = {"anonymous_id": f"v-{who}", **({"customer_id": f"c-{who}"} if n % 10 == 0 else {})}
        body: Body = {
            "id": f"t-{n}",
            "type": "page_viewed",
            "occurred_at": format_time(START_US + n * MINUTE_US),
            "identities": identities,
        }
        if n % 7 == 0:
            body |= {"type": "order_completed", "order": {"order_id": f"o-{n}", "amount": f"{n}.50", "currency": "EUR"}}
        bodies.append(body)
    return bodies


class Account:
    """What was sent to one installation and acknowledged. Thread-safe.

    `kpis` are the figures that a plain count gives; of people only where each visitor is one person, as in `life`.
    """

    def __init__(self, at: Installation, kpis: Sequence[str] = ("touchpoints", "orders", "gross_revenue", "people")) -> None:
        self.at, self._kpis, self._begun = at, kpis, 0
        self.acknowledged: dict[str, Body] = {}
        self._tokens: list[str] = []
        self._owed: list[Body] = []
        self._lock = threading.Lock()

    def send(self, count: int = 20, requests: int = 1, ingest: int = 0) -> None:
        """Post new touchpoints, in requests of `count`, each again and again until it is acknowledged."""
        for _ in range(requests):
            with self._lock:
                start, self._begun = self._begun, self._begun + count
            self.send_these(life(count, start), ingest)

    def send_these(self, bodies: Sequence[Body], ingest: int = 0) -> None:
        """Post these touchpoints until they are acknowledged."""
        with closing(self.at.ingests[ingest].service(PATIENCE_S)) as service:
            receipt = service.send(KEY, [msgspec.json.encode(body) for body in bodies])
        assert (receipt.accepted, receipt.refused) == (len(bodies), [])
        with self._lock:
            self.acknowledged |= {body["id"]: body for body in bodies}
            self._tokens.append(receipt.token)

    def refused(self) -> tuple[int, int] | None:
        """Post one new touchpoint, once: the status and Retry-After if it is refused, and then it is posted again before anybody settles."""
        with self._lock:
            (body,) = life(1, self._begun)
            self._begun += 1
        process = self.at.ingests[0]
        headers = {"X-Write-Key": KEY, "Content-Type": "application/json"}
        try:
            with urlopen(Request(f"{process.url}/v1/touchpoints", msgspec.json.encode(body), headers), timeout=60) as answer:
                receipt = msgspec.json.decode(answer.read())
        except HTTPError as error:
            with closing(error):
                self._owed.append(body)
                return error.code, int(error.headers["Retry-After"])
        with self._lock:
            self.acknowledged[body["id"]] = body
            self._tokens.append(receipt["token"])
        return None

    @contextmanager
    def sending(self, count: int = 20) -> Iterator[None]:
        """Meanwhile post new touchpoints, each request after the one before is counted; at the end everything is acknowledged."""
        enough = threading.Event()

        def send() -> None:
            while not enough.is_set():
                self.send(count)
                self.counted()

        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            try:
                yield
            finally:
                enough.set()
            sent.result()

    def counted(self) -> None:
        """Return once everything that was acknowledged is counted by every metrics."""
        for metrics in self.at.metrics:
            ask(metrics, "/v1/kpis/touchpoints", EVER, self.token)

    @property
    def token(self) -> str:
        """What stands for everything that was acknowledged."""
        with self._lock:
            highest = tokens.decode(",".join(self._tokens))
        return tokens.encode((topic, partition, offset) for (topic, partition), offset in highest.items())

    def lose(self, ids: Iterable[str]) -> None:
        """These are lost, and a test says so."""
        with self._lock:
            self.acknowledged = {id: body for id, body in self.acknowledged.items() if id not in set(ids)}

    def forget_tokens(self) -> None:
        """Receipts of a topic that is gone."""
        with self._lock:
            self._tokens.clear()

    def settle(self, at: Installation | None = None) -> None:
        """Everything acknowledged is stored, once; it is counted, once; and both rooms' checks find nothing.

        `at` is what there is of the installation at the moment, if not all of it.
        """
        at, owed, self._owed = at or self.at, self._owed, []
        if owed:
            self.send_these(owed)
        for journey in at.journeys:
            ask(journey, "/v1/journeys", {"limit": 1}, self.token)
        stored = Counter(at.stored())
        expected = Counter((SOURCE, id) for id in self.acknowledged)
        assert stored == expected, f"lost {expected - stored}, too many {stored - expected}"
        for metrics in at.metrics:
            assert self.figures(metrics) == self.expected()
        for room, processes in (("journey", at.journeys), ("metrics", at.metrics)):
            try:
                checked, mismatches, examples = check(processes[0], room)
            except HTTPError as error:
                raise AssertionError(f"{room}: {error.read()!r}") from error
            assert (mismatches, examples) == (0, [])
            assert checked > 0 or not self.acknowledged

    def expected(self) -> dict[str, Any]:
        """The KPIs as a plain count of the acknowledged touchpoints gives them."""
        bodies = self.acknowledged.values()
        amounts = [Decimal(body["order"]["amount"]) for body in bodies if "order" in body]
        people = {body["identities"].get("anonymous_id") for body in bodies}
        found = {"touchpoints": len(bodies), "orders": len(amounts), "gross_revenue": float(sum(amounts)), "people": len(people)}
        return {kpi: found[kpi] for kpi in self._kpis}

    def figures(self, metrics: Process) -> dict[str, Any]:
        """The same KPIs as a metrics answers them, everything acknowledged counted."""
        return {kpi: sum(row["value"] for row in ask(metrics, f"/v1/kpis/{kpi}", EVER, self.token)["rows"]) for kpi in self._kpis}
