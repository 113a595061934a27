"""The figures that the API is asked for, each with the truth about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

from services.cli.client import Service
from services.cli.demo.compare import Line
from services.cli.simulate.script import STAGES, Stage
from services.cli.simulate.story import Calendar
from services.cli.simulate.truth import Journey, Person, StageRow, Truth
from services.shared.errors import Rejected

SAMPLED = 40
"""People who are looked up one by one."""
_ENTRIES: Mapping[str, tuple[Stage, ...]] = {"new": STAGES[:1], "returning": STAGES[3:4], "all": STAGES}


class Figures:
    """Asks a service that has been sent a year, and holds the truth about that year against its answers."""

    def __init__(self, service: Service, truth: Truth, calendar: Calendar, token: str) -> None:
        self._service, self._truth, self._calendar, self._token = service, truth, calendar, token
        self._period = {"from": _day(calendar.since_us), "to": _day(calendar.until_us)}

    def lines(self) -> Iterator[Line]:
        """Every comparison."""
        yield from self._counts()
        yield from self._surveys()
        for journeys in _ENTRIES:
            yield from self._stage_table(journeys)
        yield self._people()
        yield from self._checks()

    def stage_table(self, journeys: str = "new") -> Any:
        """The answer itself, for showing."""
        query = {**self._period, "journeys": journeys, "as_of": _moment(self._calendar.until_us)}
        return self._service.get("/v1/stages", query, self._token)

    def _kpi(self, name: str, *by: str) -> Any:
        query = {**self._period, "grain": "none", **({"by": ",".join(by)} if by else {})}
        return self._service.get(f"/v1/kpis/{name}", query, self._token)["rows"]

    def _counts(self) -> Iterator[Line]:
        truth, journeys = self._truth, self._truth.journeys
        yield Line("touchpoints", truth.touchpoints, _total(self._kpi("touchpoints")))
        for dimension, expected in (("source", truth.by_source), ("channel", truth.by_channel), ("type", truth.by_type)):
            found = {row[dimension]: row["value"] for row in self._kpi("touchpoints", dimension)}
            yield Line(f"touchpoints by {dimension}, {len(expected)} rows", "equal", "equal" if found == expected else found)
        yield Line(
            "people who did something",
            sum(bool(person.journeys) for person in truth.persons.values()),
            _total(self._kpi("people")),
        )
        yield Line("journeys", len(journeys), _total(self._kpi("journeys")))
        yield Line("orders that stand", truth.orders, _total(self._kpi("orders")))
        revenue = self._kpi("gross_revenue")
        yield Line("gross revenue, cents", truth.revenue_cents, sum(row["numerator"] for row in revenue) // 10_000)
        yield Line("service cases", truth.cases, _total(self._kpi("cases_opened")))

    def _surveys(self) -> Iterator[Line]:
        (csat,), (nps,) = self._kpi("csat"), self._kpi("nps")
        promoters, detractors, answers = self._truth.nps
        yield Line("satisfied · answers", self._truth.csat, (csat["numerator"], csat["denominator"]))
        yield Line("promoters − detractors · answers", (promoters - detractors, answers), (nps["numerator"], nps["denominator"]))

    def _stage_table(self, journeys: str) -> Iterator[Line]:
        answer = self.stage_table(journeys)
        expected = self._truth.stages(self._calendar.until_us, _ENTRIES[journeys])
        rows = list(zip(expected, answer["stages"], strict=True))
        differ = [f"{row.stage}: {_figures(row)} is {_found(found)}" for row, found in rows if _figures(row) != _found(found)]
        yield Line(f"{journeys} journeys", sum(row.dropped + row.in_stage_now for row in expected), answer["journeys"])
        yield Line(f"  their stage table, 5 × {len(_COLUMNS)} figures", "equal", "; ".join(differ) or "equal")

    def _people(self) -> Line:
        """A sample of people, looked up by their root identity: touchpoints and every journey."""
        people = sorted(self._truth.persons.values(), key=lambda person: person.root)
        sample = Random(0).sample(people, min(SAMPLED, len(people)))
        wrong = [person.root for person in sample if self._answer_about(person) != _account(person)]
        return Line(f"{len(sample)} people looked up: all their journeys", "equal", wrong or "equal")

    def _answer_about(self, person: Person) -> Any:
        try:
            answer = self._service.get(f"/v1/persons/{quote(person.root)}", None, self._token)
        except Rejected as error:
            return error.code
        keys = ("started_at", "last_at", "furthest_stage", "touchpoints")
        return {
            "touchpoints": answer["touchpoints"],
            "journeys": sorted(tuple(_plain(journey[key]) for key in keys) for journey in answer["journeys"]),
        }

    def _checks(self) -> Iterator[Line]:
        for room in ("journey", "metrics"):
            answer = self._service.get(f"/v1/check/{room}", None, self._token)
            yield Line(f"mismatches in a recount of {room} ({answer['checked']:,})", 0, answer["mismatches"])


_COLUMNS = ("touchpoints", "touched", "reached", "dropped", "in_stage_now", "skipped", "left", "time until left in ms")


def _figures(row: StageRow) -> list[object]:
    durations_ms = [us // 1000 for us in row.times_us]
    return [
        row.touchpoints,
        row.touched,
        row.reached,
        row.dropped,
        row.in_stage_now,
        row.skipped,
        len(durations_ms),
        sum(durations_ms),
    ]


def _found(row: Mapping[str, Any]) -> list[object]:
    time = row["time_in_stage"]
    total_ms = round((time["mean_s"] or 0) * time["n"] * 1000)
    return [
        *(row[name] for name in ("touchpoints", "touched", "reached", "dropped", "in_stage_now", "skipped")),
        time["n"],
        total_ms,
    ]


def _account(person: Person) -> Any:
    journeys = [_journey(journey) for journey in person.journeys]
    return {"touchpoints": person.touchpoints, "journeys": sorted(journeys)}


def _journey(journey: Journey) -> tuple[object, ...]:
    return _instant(journey.started_us), _instant(journey.last_us), journey.furthest, journey.touchpoints


def _plain(value: Any) -> Any:
    """A time as an instant, whatever its decimals; anything else as it is."""
    if isinstance(value, str) and value[:1].isdigit():
        return datetime.fromisoformat(value)
    return value


def _instant(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _day(us: int) -> str:
    return _instant(us).date().isoformat()


def _moment(us: int) -> str:
    return _instant(us).isoformat().replace("+00:00", "Z")


def _total(rows: list[Any]) -> int:
    return sum(row["value"] for row in rows)
