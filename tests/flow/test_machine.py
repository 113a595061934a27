"""Whatever is done to the whole embedded service, in whatever order, every answer is what the plain model of everything sent says.

One service runs for all examples, as a process of its own that is killed now and then. Each example has identities of its own and
two years of its own, so that the answers about one say nothing of another.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from schemas import tokens
from services.shared.errors import Rejected
from tests.model.plain import Plain
from tests.model.reading import iso, microseconds
from tests.model.stagetable import StageRow
from tests.parts.processes import WAYPOST, Process, clean_environment

JSON = dict[str, Any]
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
SHARED_OVER = 2
KEYS = {"web": "c" + "w" * 32, "desk": "c" + "d" * 32}
PEOPLE = ["customer_id:a", "customer_id:b", "customer_id:c"]
HANDLES = ["email:e", "email:f", "phone:p", "crm:x", "anonymous_id:v", "anonymous_id:w", "device_id:d"]
STAGES = [None, None, "awareness", "consideration", "purchase", "loyalty", "advocacy"]
ORDER_ACTIONS = ["placed", "placed", "changed", "cancelled", "refunded"]
CASE_ACTIONS = ["opened", "message", "answered", "resolved", "reopened"]
AGES_US = [0, 1000, 60_000_000, HOUR_US, DAY_US, 2 * DAY_US, 25 * DAY_US, 40 * DAY_US, 80 * DAY_US, 140 * DAY_US, 250 * DAY_US]
FIRST_YEAR, YEARS, ERAS = 1901, 2, 60


@st.composite
def touchpoints(draw: st.DrawFn) -> JSON:
    """One touchpoint as it is sent, but for its id and where its time is counted from."""
    names = draw(st.lists(st.sampled_from(HANDLES), max_size=3, unique_by=lambda name: name.partition(":")[0]))
    if draw(st.integers(0, 2)) == 0:
        names.append(draw(st.sampled_from(PEOPLE)))
    facets: JSON = {}
    about = draw(st.integers(0, 9))
    if about in (0, 1):
        facets["case"] = {"case_id": draw(st.sampled_from("12")), "action": draw(st.sampled_from(CASE_ACTIONS))}
    if about in (2, 3):
        action = draw(st.sampled_from(ORDER_ACTIONS))
        facets["order"] = {"order_id": draw(st.sampled_from("12")), "action": action, "amount": "10.00", "currency": "EUR"}
    if (stage := draw(st.sampled_from(STAGES))) is not None:
        facets["stage"] = stage
    if not names and not ("case" in facets or "order" in facets):
        names.append("device_id:d")
    return {
        "id": draw(st.sampled_from("123456789")),
        "type": "noted",
        "channel": draw(st.sampled_from(["web", "app", "chat"])),
        "actor": draw(st.sampled_from(["customer", "customer", "customer", "business"])),
        "occurred_at": draw(st.sampled_from(AGES_US)),
        "identities": names,
        **facets,
    }


requests = st.lists(touchpoints(), min_size=1, max_size=4, unique_by=lambda one: str(one["id"]))


class Installation:
    """The running service, in one folder; in another one when all the eras of the first have had their example."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._eras = folder, 0
        self._start()

    def _start(self) -> None:
        keys = ",".join(f"{source}={key}" for source, key in KEYS.items())
        folder = self._folder / f"{self._eras // ERAS}"
        folder.mkdir()
        self.settings = {
            "WAYPOST_DATA": str(folder / "data"),
            "WAYPOST_WRITE_KEYS": keys,
            "WAYPOST_PARTITIONS": "3",
            "WAYPOST_SHARED_HANDLE_CUSTOMERS": str(SHARED_OVER),
        }
        self.process = Process("up", ["up"], self.settings, folder)
        self.process.start()
        self.service = self.process.service()
        self._passed: dict[tuple[str, int], int] = {}

    def next_era(self) -> int:
        """A number that no example had before in this folder."""
        if self._eras and self._eras % ERAS == 0:
            self.close()
            self._start()
        self._eras += 1
        return (self._eras - 1) % ERAS

    def restart(self) -> None:
        """As after a power cut."""
        self.service.close()
        self.process.kill9()
        self.process.start()
        self.service = self.process.service()

    def command(self, *words: str) -> None:
        """A command of the command line, on the running installation."""
        done = subprocess.run(
            [WAYPOST, *words],
            env={**clean_environment(), **self.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def post(self, source: str, sent: Sequence[JSON]) -> None:
        receipt = self.service.send(KEYS[source], [msgspec.json.encode(one) for one in sent])
        assert (receipt.accepted, receipt.refused) == (len(sent), [])
        self.see(receipt.token)

    def decide(self, action: str, identities: Sequence[str]) -> None:
        decision = {"identities": identities, "reason": "as the machine wants it", "by": "the machine"}
        self.see(self.service.post(f"/v1/identities/{action}", decision)["token"])

    def erase(self, identity: str) -> None:
        """Everything before has to be stitched: an erasure is of whom the identity is then."""
        path = f"/v1/persons/{quote(identity)}"
        self.get(path)
        self.see(self.service.delete(path)["token"])

    def see(self, token: str) -> None:
        """Every later question waits for this."""
        for place, offset in tokens.decode(token).items():
            self._passed[place] = max(offset, self._passed.get(place, -1))

    def get(self, path: str, **query: object) -> Any:
        asked = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        after = tokens.encode((topic, partition, offset) for (topic, partition), offset in self._passed.items())
        return self.service.get(path, asked, after)

    def rows(self, path: str, name: str, **query: object) -> list[JSON]:
        """All rows of a list, in pages that are too small."""
        found: list[JSON] = []
        cursor = None
        while True:
            page = self.get(path, limit=3, cursor=cursor, **query)
            found += page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def close(self) -> None:
        self.service.close()
        self.process.stop()


class Machine(RuleBasedStateMachine):
    """One example: an era of its own in the installation that all share."""

    installation: Installation

    @initialize(source=st.sampled_from(["web", "desk"]), given=requests)
    def begin(self, source: str, given: list[JSON]) -> None:
        self.era = era = self.installation.next_era()
        self.mark = f"m{era}x"
        self.from_us = microseconds(f"{FIRST_YEAR + YEARS * era}-01-10T12:00:00+00:00")
        self.until_us = microseconds(f"{FIRST_YEAR + YEARS * (era + 1)}-01-01T00:00:00+00:00")
        self.plain = Plain(SHARED_OVER)
        self.sent: list[tuple[str, list[JSON]]] = []
        self.slow: set[str] = set()
        self.post(source, given)

    def teardown(self) -> None:
        """Whatever was not asked on the way is asked at the end."""
        if not hasattr(self, "plain"):
            return
        for name in PEOPLE + HANDLES:
            self.ask_for_a_person(name)
        self.ask_for_cases()
        self.ask_for_kpis((0, 300))
        for which in ("new", "returning", "all"):
            self.ask_for_the_stage_table((0, 300), 400 * DAY_US, which, "journey")
        self.check()

    # -- what is done -------------------------------------------------------------------------------------------------------

    @rule(source=st.sampled_from(["web", "web", "desk"]), given=requests)
    def post(self, source: str, given: list[JSON]) -> None:
        sent = [self._placed(source, one) for one in given]
        self.sent.append((source, sent))
        self._post(source, sent)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def post_again(self, data: st.DataObject) -> None:
        self._post(*data.draw(st.sampled_from(self.sent)))

    @rule(
        handles=st.lists(st.sampled_from(HANDLES), min_size=1, max_size=2, unique_by=lambda name: name.partition(":")[0]),
        customer=st.sampled_from(PEOPLE),
        id=st.sampled_from("123456789"),
        age_us=st.sampled_from(AGES_US),
    )
    def sign_in(self, handles: list[str], customer: str, id: str, age_us: int) -> None:
        signed_in = {"id": f"s{id}", "type": "noted", "channel": "web", "actor": "customer"}
        self.post("web", [signed_in | {"occurred_at": age_us, "identities": [*handles, customer]}])

    @rule(
        action=st.sampled_from(["link", "link", "unlink"]),
        pair=st.lists(st.sampled_from(PEOPLE + HANDLES), min_size=2, max_size=2, unique=True),
    )
    def decide(self, action: str, pair: list[str]) -> None:
        identities = [self._own(name) for name in pair]
        self.installation.decide(action, identities)
        self.plain.decide(action, identities)

    @precondition(lambda self: self._known())
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        identity = self._own(data.draw(st.sampled_from(self._known())))
        self.installation.erase(identity)
        self.plain.erase(identity)

    @precondition(lambda self: "plug" not in self.slow)
    @rule()
    def pull_the_plug(self) -> None:
        self.slow.add("plug")
        self.installation.restart()

    @precondition(lambda self: "rebuild" not in self.slow)
    @rule(room=st.sampled_from(["journey", "metrics"]))
    def rebuild(self, room: str) -> None:
        self.slow.add("rebuild")
        self.installation.command("rebuild", room)

    # -- what is asked ------------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(PEOPLE + HANDLES))
    def ask_for_a_person(self, name: str) -> None:
        identity = self._own(name)
        path = f"/v1/persons/{quote(identity)}"
        now_us = self.until_us
        wanted = self.plain.now.person(identity, now_us)
        found = self._get_or_404(path, at=iso(now_us))
        assert (found is None) == (wanted is None), (identity, found, wanted)
        if found is not None and wanted is not None:
            mine = [
                {key: journey[key] for key in expected}
                for journey, expected in zip(found["journeys"], wanted["journeys"], strict=True)
            ]
            assert mine == wanted["journeys"], (identity, mine, wanted["journeys"])
            assert sorted(found["identities"]) == wanted["identities"]
            assert found["touchpoints"] == wanted["touchpoints"]
            rows = self.installation.rows(f"{path}/touchpoints", "touchpoints", at=iso(now_us))
            assert [(row["source"], row["id"], row["time"]) for row in rows] == self.plain.now.touchpoints(identity, now_us)

    @rule()
    def ask_for_cases(self) -> None:
        rows = self.installation.rows("/v1/cases", "cases", since=iso(self.from_us), until=iso(self.until_us))
        wanted = self.plain.now.cases(self.from_us, self.until_us)
        found = sorted((row["system"], row["case_id"]) for row in rows)
        assert found == sorted(wanted), (found, wanted)

    @rule(
        days=st.tuples(st.integers(0, 300), st.integers(1, 300)),
        as_of_us=st.sampled_from(AGES_US) | st.integers(0, 400 * DAY_US),
        which=st.sampled_from(["new", "returning", "all"]),
        unit=st.sampled_from(["journey", "person"]),
    )
    def ask_for_the_stage_table(self, days: tuple[int, int], as_of_us: int, which: str, unit: str) -> None:
        from_us, to_us = self._period(*days)
        moment_us = self.from_us + as_of_us
        period = {"from_": iso(from_us)[:10], "to": iso(to_us)[:10]}
        found = self.installation.get("/v1/stages", **period, as_of=iso(moment_us), journeys=which, unit=unit)
        wanted = self.plain.now.stages(from_us, to_us, moment_us, which if unit == "journey" else "all", unit)
        assert (found["journeys"], found["stages"]) == (wanted.journeys, [_row(row) for row in wanted.stages])

    @rule(days=st.tuples(st.integers(0, 300), st.integers(1, 300)))
    def ask_for_kpis(self, days: tuple[int, int]) -> None:
        from_us, to_us = self._period(*days)
        for kpi, value in self.plain.now.kpis(from_us, to_us).items():
            period = {"from_": iso(from_us)[:10], "to": iso(to_us)[:10]}
            rows = self.installation.get(f"/v1/kpis/{kpi}", **period, grain="none")["rows"]
            found = sum(row["value"] for row in rows)
            assert found == value, (kpi, found, value)

    @rule()
    def check(self) -> None:
        for room in ("journey", "metrics"):
            found = self.installation.get(f"/v1/check/{room}")
            assert found["mismatches"] == 0, found["examples"]

    @invariant()
    def is_alive(self) -> None:
        assert self.installation.service.get("/health/live") is not None

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _known(self) -> list[str]:
        """The names that are somebody's."""
        return [name for name in PEOPLE + HANDLES if self.plain.now.person(self._own(name), self.until_us) is not None]

    def _own(self, name: str) -> str:
        namespace, _, value = name.partition(":")
        if namespace == "phone":
            return f"phone:+4930{1_000_000 + self.era}"
        return f"{namespace}:{self.mark}{value}" + ("@x.example" if namespace == "email" else "")

    def _placed(self, source: str, given: Mapping[str, Any]) -> JSON:
        """A drawn touchpoint as this example sends it; no two of different ids or sources at one time."""
        names = [self._own(name).partition(":") for name in given["identities"]]
        tick_us = 2 * ("123456789s".index(given["id"][0]) * 9 + int(given["id"][-1])) + (source == "desk")
        occurred_us = self.from_us + given["occurred_at"] + tick_us
        placed = {**given, "id": f"{self.mark}{given['id']}", "occurred_at": iso(occurred_us)}
        placed["identities"] = {namespace: value for namespace, _, value in names}
        for facet, key in (("order", "order_id"), ("case", "case_id")):
            if facet in given:
                placed[facet] = {**given[facet], key: f"{self.mark}{given[facet][key]}"}
        return placed

    def _post(self, source: str, sent: list[JSON]) -> None:
        self.installation.post(source, sent)
        self.plain.post(source, sent)

    def _period(self, first: int, length: int) -> tuple[int, int]:
        start_us = self.from_us - self.from_us % DAY_US + first * DAY_US
        return start_us, start_us + length * DAY_US

    def _get_or_404(self, path: str, **query: object) -> Any:
        try:
            return self.installation.get(path, **query)
        except Rejected as error:
            if error.code != "unknown_person":
                raise
            return None


def _row(row: StageRow) -> JSON:
    """A row of the stage table as the API gives it."""
    times_ms = row.times_ms
    return {
        "stage": row.stage,
        "touchpoints": row.touchpoints,
        "touched": row.touched,
        "reached": row.reached,
        "conversion": None if row.conversion is None else pytest.approx(float(row.conversion)),
        "dropped": row.dropped,
        "in_stage_now": row.in_stage_now,
        "skipped": row.skipped,
        "time_in_stage": {
            "n": len(times_ms),
            "mean_s": pytest.approx(sum(times_ms) / len(times_ms) / 1000) if times_ms else None,
            "p50_s": _quantile(times_ms, 0.5),
            "p90_s": _quantile(times_ms, 0.9),
            "p99_s": _quantile(times_ms, 0.99),
        },
    }


def _quantile(times_ms: Sequence[int], q: float) -> Any:
    """The nearest rank, within the histogram's one per cent."""
    if not times_ms:
        return None
    rank = max(1, -(-len(times_ms) * int(q * 100) // 100))
    return pytest.approx(times_ms[rank - 1] / 1000, rel=0.0101, abs=0.001)


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    with closing(Installation(folder)) as installation:
        yield installation


def test_every_answer_is_what_the_plain_model_says(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    examples = pytestconfig.getoption("--machine-examples")
    with installed(tmp_path) as installation:
        Machine.installation = installation
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.generate],
            ),
        )
