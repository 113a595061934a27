"""However the versions of person-months arrive, rollups are those of the newest versions, and answers are sums over contributions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar, day_number
from schemas.facts import (
    Amount,
    Bad,
    Between,
    CaseFact,
    Cohort,
    Contact,
    ContactTurn,
    Day,
    Ended,
    Exposure,
    Fact,
    Goal,
    Helped,
    Introduced,
    Item,
    Leg,
    OrderFact,
    PathFact,
    PersonMonth,
    Place,
    Reached,
    Reason,
    Recommended,
    Refund,
    Score,
    Sequel,
    Slow,
    Step,
    SurveyFact,
    Touch,
    Touched,
    Transition,
    Turn,
    Visit,
    Voice,
    Working,
    month_key,
)
from schemas.times import DAY_US, EPOCH, HOUR_US, from_datetime
from schemas.topics import JOURNEYS
from schemas.touchpoint import STAGES
from services.metrics.answers import Answers, CohortQuestion, KpiQuestion
from services.metrics.domain.catalogue import KPI_BY_ID, KPIS
from services.metrics.domain.credit import Modelled
from services.metrics.domain.cubes import BY_NAME, CUBES
from services.metrics.domain.histogram import bucket_of, middle_of
from services.metrics.domain.kpis import Distinct, Kpi
from services.metrics.domain.measures import Contribution, contributions, effect_times
from services.metrics.domain.periods import Span, period_name, start_of
from services.metrics.migrations import HISTORY
from services.metrics.store import generations
from services.metrics.store.checking import check
from services.metrics.store.reading import Reading
from services.metrics.store.rebuilding import COUNTING, rebuild
from services.metrics.store.tables import METADATA
from services.metrics.store.taking import Taking
from services.shared.bus import Record, TopicInfo, partition_of
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate
from tests.parts.postgres import Postgres

PARTITIONS = 3
ZONE = "Europe/Berlin"
CALENDAR = Calendar(ZONE)
FIRST, LAST = date(2026, 1, 20), date(2026, 4, 10)
START_US = from_datetime(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=ZoneInfo(ZONE)))
END_US = from_datetime(datetime(LAST.year, LAST.month, LAST.day, tzinfo=ZoneInfo(ZONE)))

# facts

instants = st.integers(START_US // HOUR_US, END_US // HOUR_US - 1).map(lambda hour: hour * HOUR_US) | st.integers(
    START_US, END_US - 1
)
stages = st.sampled_from(STAGES)
channels = st.sampled_from(["web", "phone"])
sources = st.sampled_from(["shop", "desk"])
some_name = st.sampled_from([None, "spring"])
marketing_channels = st.sampled_from(["direct", "email", "paid_search"])
touches = st.builds(Touch, instants, marketing_channels, some_name)
cohorts = st.builds(
    Cohort,
    id=st.sampled_from("abc"),
    started_us=instants,
    entry_stage=st.sampled_from(["awareness", "loyalty"]),
    channel=channels,
    source=sources,
    campaign=some_name,
    marketing_channel=some_name,
)
units = st.sampled_from(["journey", "person"])
moods: st.SearchStrategy[Contact | None] = st.sampled_from([None, "good", "bad"])
steps = st.builds(
    Step,
    unit=units,
    cohort=cohorts,
    at_us=instants,
    from_stage=st.sampled_from([None, "awareness", "consideration"]),
    to_stage=st.sampled_from(["awareness", "purchase", "loyalty", "advocacy"]),
    skipped=st.lists(st.sampled_from(["consideration"]), max_size=1),
    time_ms=st.none() | st.integers(0, 10**9),
    since_us=st.none() | instants,
    adopted=st.dictionaries(st.sampled_from(["awareness", "purchase"]), st.integers(1, 3), max_size=1),
    contact=moods,
)
contact_turns = st.builds(
    ContactTurn, cohort=cohorts, at_us=instants, before=moods, contact=st.sampled_from(["good", "bad"]), ref=st.just("1")
)
amounts = st.builds(Amount, instants, st.none() | st.integers(0, 10**9), st.sampled_from([None, "EUR", "USD"]))


@st.composite
def days(draw: st.DrawFn) -> Day:
    on = draw(st.dates(FIRST, LAST - timedelta(days=1)))
    start = CALENDAR.day_start_us(day_number(on.isoformat()))
    length = CALENDAR.day_start_us(day_number(on.isoformat()) + 1) - start
    times = sorted(draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4)))
    person, journeys = draw(st.none() | cohorts), draw(st.lists(cohorts, max_size=2))
    items = [
        Item(
            start + time,
            draw(st.sampled_from(["page_viewed", "order_completed"])),
            draw(channels),
            draw(sources),
            draw(st.sampled_from(["customer", "business"])),
            draw(st.none() | stages),
            draw(st.integers(-1, len(journeys) - 1)),
            draw(st.none() | stages),
        )
        for time in times
    ]
    previous = draw(st.none() | st.integers(1, 70).map(lambda back: (on - timedelta(days=back)).isoformat()))
    return Day(
        day=on.isoformat(),
        at_us=items[0].at_us,
        active=draw(st.booleans()),
        previous_active=previous,
        items=items,
        journeys=journeys,
        person=person,
        channel_before=draw(st.none() | channels),
        contact=draw(moods),
        contact_before=draw(moods),
        agents=[Working(start + time, draw(channels), draw(st.sampled_from("kl"))) for time in times[: draw(st.integers(0, 3))]],
    )


@st.composite
def orders(draw: st.DrawFn) -> OrderFact:
    times = sorted(draw(st.lists(instants, min_size=2, max_size=5)))
    worth = draw(st.lists(amounts, max_size=3))
    return OrderFact(
        system="shop",
        order_id=draw(st.sampled_from("xyz")),
        at_us=times[0],
        stage=draw(stages),
        channel=draw(channels),
        source=draw(sources),
        amounts=sorted((Amount(max(times[0], one.at_us), one.micros, one.currency) for one in worth), key=lambda one: one.at_us),
        refunds=draw(st.lists(st.builds(Refund, st.sampled_from(times), st.none() | st.integers(0, 10**9)), max_size=2)),
        cancelled_us=draw(st.none() | st.just(times[1])),
        returned_us=draw(st.none() | st.sampled_from(times)),
        path=sorted(draw(st.lists(touches, max_size=4)), key=lambda touch: touch.at_us),
        first_touch=draw(st.none() | touches),
        places=draw(places(times[:2])),
        began_us=draw(st.none() | st.just(START_US)),
        touchpoints_before=draw(st.integers(0, 6)),
        channels_before=draw(st.integers(0, 3)),
    )


@st.composite
def growth(draw: st.DrawFn) -> Introduced | Voice | Exposure | Recommended:
    times = sorted(draw(st.lists(instants, min_size=4, max_size=4)))
    given: dict[str, Any] = {"at_us": times[0], "channel": draw(channels), "source": draw(sources)}
    kind = draw(st.sampled_from([Introduced, Voice, Exposure, Recommended]))
    if kind is Introduced:
        referred, bought = draw(st.none() | st.just(times[1])), draw(st.none() | st.just(times[2]))
        return Introduced(journey_id=draw(st.sampled_from("abc")), referred_us=referred, bought_us=bought, **given)
    if kind is Voice:
        given |= {"told": draw(st.sampled_from([None, "share", "referral"])), "first_id": draw(st.sampled_from("12"))}
        given["sentiment"] = draw(st.none() | st.sampled_from([-0.5, 0.0, 0.25]))
        given |= {"rating": draw(st.sampled_from([3.5, 5.0])), "rating_max": 5.0} if draw(st.booleans()) else {}
        return Voice(stage=draw(stages), **given)
    if kind is Recommended:
        soon = st.none() | st.integers(times[0], times[0] + 30 * DAY_US)
        product = draw(st.sampled_from([None, "p"]))
        return Recommended(recommendation_id="r", product=product, clicked_us=draw(soon), bought_us=draw(soon), **given)
    worths = draw(st.lists(st.tuples(st.sampled_from(times), st.sampled_from(["EUR", "USD"]), st.integers(1, 10**9)), max_size=2))
    second_us = draw(st.none() | st.just(times[3]))
    turns = [Turn(at_us, of, 1, micros) for at_us, of, micros in worths]
    turns += [Turn(times[2], of, -1, -micros) for at_us, of, micros in worths if at_us <= times[2] and draw(st.booleans())]
    seen: dict[str, Any] = {"variant": draw(st.sampled_from(["a", "control"])), "seen_us": times[0] + draw(st.integers(0, 10**9))}
    in_order = sorted((turn for turn in turns if turn.at_us < (second_us or END_US)), key=lambda turn: turn.at_us)
    return Exposure(experiment_id="e", stage=draw(stages), second_us=second_us, turns=in_order, **seen, **given)


@st.composite
def paths(draw: st.DrawFn) -> PathFact:
    at_us, ended_us = sorted(draw(st.tuples(instants, instants)))
    return PathFact(
        at_us=at_us,
        stage=draw(stages),
        channels=draw(st.lists(marketing_channels, min_size=1, max_size=3)),
        campaigns=draw(st.lists(st.sampled_from(["", "spring"]), min_size=1, max_size=3)),
        ended_us=draw(st.none() | st.just(ended_us)),
        first_id="a/1",
    )


@st.composite
def places(draw: st.DrawFn, times: list[int]) -> list[Place]:
    """From the placing on, and perhaps others up to the cancellation."""
    moments = [times[0], *draw(st.just([]) | st.just(times[1:]))]
    found = []
    for at_us in moments:
        newest_first = sorted(draw(st.lists(st.integers(START_US - 60 * DAY_US, times[0]), max_size=3)), reverse=True)
        previous_us, second_us, day_before_us = [*newest_first, None, None, None][:3]
        first_in_currency_us = draw(st.none() | st.just(START_US))
        found.append(Place(at_us, START_US, first_in_currency_us, previous_us, second_us, day_before_us))
    return found


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    at_us, reached_us = sorted(draw(st.tuples(instants, instants)))
    return Goal(
        goal=draw(st.sampled_from(["buy", "compare"])),
        at_us=at_us,
        stage=draw(stages),
        channel=draw(channels),
        source=draw(sources),
        reached_us=draw(st.none() | st.just(reached_us)),
        first_id="a/1",
    )


@st.composite
def legs(draw: st.DrawFn, times: list[int]) -> Leg:
    queued, over, ended = (draw(st.none() | st.sampled_from(times)) for _ in range(3))
    is_answered, wait_ms = draw(st.booleans()), draw(st.none() | st.sampled_from([0, 4_999, 5_000, 20_000, 20_001, 3_600_000]))
    return Leg(
        leg_id=None,
        channel=draw(channels),
        at_us=times[0],
        since_us=None,
        queued_us=queued,
        answered_us=over if is_answered else None,
        abandoned_us=None if is_answered else over,
        ended_us=ended,
        wait_ms=wait_ms,
        handle_ms=draw(st.none() | st.integers(0, 10**6)),
        queue=draw(some_name),
        team=draw(some_name),
        agent_id=None,
    )


REASONS = ["repeated_information", "complaint", "damaged"]


@st.composite
def cases(draw: st.DrawFn) -> CaseFact:
    times = sorted(draw(st.lists(instants, min_size=6, max_size=6)))
    turns = draw(st.integers(0, 4))
    return CaseFact(
        system="desk",
        case_id=draw(st.sampled_from("pq")),
        at_us=times[0],
        stage=draw(stages),
        channel=draw(channels),
        source=draw(sources),
        opened_by="customer",
        touchpoints=1,
        last_us=times[5],
        topic=draw(some_name),
        responded_us=draw(st.none() | st.just(times[1])),
        resolved_us=times[1 : 1 + turns : 2],
        reopened_us=times[2 : 1 + turns : 2],
        transferred_us=draw(st.lists(st.sampled_from(times), max_size=2)),
        agents=["a"],
        agents_us=[times[1]],
        legs=draw(st.lists(legs(times), max_size=2)),
        reasons=draw(
            st.lists(
                st.builds(Reason, st.sampled_from(times), st.sampled_from(REASONS)), max_size=3, unique_by=lambda one: one.reason
            )
        ),
        closed_us=draw(st.none() | st.sampled_from(times)),
        next_us=draw(st.none() | st.sampled_from(times[1:])),
        next_on_topic_us=draw(st.none() | st.sampled_from(times[1:])),
    )


@st.composite
def sequels(draw: st.DrawFn) -> Sequel:
    at_us = draw(instants)
    given: dict[str, Any] = {
        "at_us": at_us,
        "stage": draw(stages),
        "channel": draw(channels),
        "source": draw(sources),
        "ref": "r",
    }
    given["followed_us"] = draw(st.none() | st.just(at_us + HOUR_US))
    match draw(st.integers(0, 3)):
        case 0:
            return Helped(article_id="a", **given)
        case 1:
            return Bad(experience=draw(st.sampled_from(["complaint", "waited"])), topic=draw(some_name), **given)
        case 2:
            return Slow(topic=draw(some_name), **given)
    before_us = draw(st.none() | st.just(at_us - HOUR_US))
    return Reached(outreach_id=draw(st.sampled_from("uv")), control=draw(st.booleans()), before_us=before_us, **given)


facts = st.one_of(
    growth(),
    days(),
    sequels(),
    contact_turns,
    steps,
    orders(),
    paths(),
    goals(),
    cases(),
    st.builds(Touched, unit=units, cohort=cohorts, at_us=instants, stage=stages),
    st.builds(
        Transition,
        cohort=cohorts,
        at_us=instants,
        n=st.integers(0, 2),
        from_stage=st.none() | stages,
        to_stage=stages,
    ),
    st.builds(
        Ended,
        cohort=cohorts,
        at_us=instants,
        last_us=instants,
        furthest_stage=stages,
        reached_us=instants,
        current_stage=stages,
        first_id=st.just("a/1"),
    ),
    st.builds(
        Visit,
        at_us=instants,
        ended_us=instants,
        channel=channels,
        source=sources,
        touchpoints=st.just(1),
        stage=stages,
        marketing_channel=some_name,
        first_id=st.just("1"),
    ),
    st.builds(
        SurveyFact,
        survey_id=st.sampled_from("st"),
        survey_kind=st.sampled_from(["csat", "nps", "ces"]),
        action=st.sampled_from(["answered", "answered", "sent"]),
        at_us=instants,
        easy=st.sampled_from([None, "low", "high"]),
        answered_us=st.none() | instants,
        stage=stages,
        channel=channels,
        source=sources,
        score=st.integers(0, 10).map(float),
        scale_min=st.just(0.0),
        scale_max=st.just(10.0),
        topic=some_name,
        before=st.none()
        | st.builds(Score, st.integers(0, 10).map(float), st.just(0.0), st.just(10.0), st.sampled_from([None, "low"])),
        between=st.builds(Between, channels, some_name),
        first_id=st.sampled_from("12"),
    ),
)


def _possible(fact: Fact) -> Fact:
    """Nothing takes effect in a journey before it starts."""
    if isinstance(fact, Day):
        journeys = [msgspec.structs.replace(one, started_us=min(one.started_us, fact.at_us)) for one in fact.journeys]
        person = fact.person and msgspec.structs.replace(fact.person, started_us=min(fact.person.started_us, fact.at_us))
        return msgspec.structs.replace(fact, journeys=journeys, person=person)
    if isinstance(fact, SurveyFact) and fact.answered_us is not None:
        return msgspec.structs.replace(fact, answered_us=max(fact.at_us, fact.answered_us) if fact.action == "sent" else None)
    if isinstance(fact, Step | ContactTurn | Touched | Transition | Ended):
        cohort = msgspec.structs.replace(fact.cohort, started_us=min(fact.cohort.started_us, fact.at_us))
        fact = msgspec.structs.replace(fact, cohort=cohort)
    if isinstance(fact, Step) and fact.since_us is not None:
        return msgspec.structs.replace(fact, since_us=min(fact.since_us, fact.at_us))
    if isinstance(fact, Ended) and fact.reached_us is not None:
        return msgspec.structs.replace(fact, reached_us=min(fact.reached_us, fact.at_us))
    return fact


def _distinct(found: list[Fact]) -> list[Fact]:
    return list({fact.key: _possible(fact) for fact in found}.values())


versions = st.builds(
    PersonMonth,
    person_id=st.sampled_from(["ann", "bob", "cy/d"]),
    month=st.sampled_from(["2026-01", "2026-02"]),
    version=st.integers(1, 6),
    facts=st.lists(facts, min_size=1, max_size=6).map(_distinct),
    identified=st.booleans(),
)


class Stream(NamedTuple):
    """Batches of versions as they arrive. Of each (person, month) and version there is one content. `as_of` is often just before,
    at, or hours before a moment at which something takes effect."""

    batches: list[list[PersonMonth]]
    newest: list[PersonMonth]
    as_of: int


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    drawn = draw(st.lists(versions, min_size=1, max_size=8))
    known = {(one.person_id, one.month, one.version): one for one in drawn}
    for place, one in known.items():
        if draw(st.integers(0, 5)) == 0:
            known[place] = msgspec.structs.replace(one, facts=[], gone=True)
    published = list(known.values())
    arriving = draw(st.permutations(published + draw(st.lists(st.sampled_from(published), max_size=4))))
    cuts = sorted(draw(st.lists(st.integers(0, len(arriving)), max_size=4)))
    batches = [arriving[start:end] for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]
    newest = {(one.person_id, one.month): one for one in sorted(published, key=lambda one: one.version)}
    moments = [time for month in newest.values() for fact in month.facts for time in effect_times(fact)] or [START_US]
    as_of = draw(instants | st.builds(int.__sub__, st.sampled_from(moments), st.sampled_from([0, 1, HOUR_US, 7 * HOUR_US])))
    return Stream(batches, list(newest.values()), as_of)


def record(month: PersonMonth) -> Record:
    key = month_key(month.person_id, month.month)
    return Record(JOURNEYS, partition_of(key, PARTITIONS), 0, key, msgspec.json.encode(month), 0)


class Store:
    """A metrics database that can be emptied."""

    def __init__(self, database: Database) -> None:
        self.database = database
        migrate(database, HISTORY)

    def fill(self, batches: Sequence[Sequence[PersonMonth]], zone: str = ZONE) -> None:
        with self.database.transaction() as tx:
            for table in METADATA.tables:
                self.database.execute(tx, f"DELETE FROM {table}")
            number = generations.open_generation(self.database, tx, generations.generation_hash(zone)).number
        taking = Taking(self.database, Calendar(zone))
        for batch in batches:
            with self.database.transaction() as tx:
                taking.take(tx, number, [record(month) for month in batch])

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with self.database.snapshot() as tx:
            return sorted((tuple(row)[1:] for row in self.database.execute(tx, f"SELECT * FROM {table}")), key=repr)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("metrics")
        url = sqlite_url(folder / "metrics.sqlite")
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    with closing(Database(url, durable=False)) as database:
        yield Store(database)


slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@slow
@given(stream=streams())
def test_any_arrival_leaves_the_rollups_of_the_newest_versions(store: Store, stream: Stream) -> None:
    store.fill(stream.batches)
    streamed = {table: store.rows(table) for table in ("rollup", "histogram", "fact", "effect")}
    with store.database.snapshot() as tx:
        found = check(store.database, tx, CALENDAR)
    assert (found.mismatches, found.examples) == (0, [])
    assert found.checked == len(streamed["rollup"]) + len(streamed["histogram"])
    store.fill([stream.newest])
    assert streamed == {table: store.rows(table) for table in streamed}


@slow
@given(stream=streams())
def test_rollup_rows_are_the_sums_of_contributions(store: Store, stream: Stream) -> None:
    """The finest rows of each cube, summed here by plain code."""
    store.fill(stream.batches)
    expected: dict[tuple[object, ...], int] = defaultdict(int)
    for month in stream.newest:
        for fact in month.facts:
            for one in contributions(fact, month.identified, CALENDAR):
                cube = BY_NAME[one.cube]
                for names in cube.sets:
                    dims = msgspec.json.encode([one.dims[cube.dims.index(name)] for name in names]).decode()
                    day = (local(one.at_us).date() - date(1970, 1, 1)).days
                    cohort = 0 if one.cohort_day is None else one.cohort_day
                    key = (
                        f"{cube.name}[{','.join(names)}]",
                        day,
                        cohort,
                        dims,
                        partition_of(month_key(month.person_id, month.month), PARTITIONS),
                    )
                    expected[(*key, cube.measures.index(one.measure))] += one.times * one.value
    found = {
        (cube, effective, cohort, dims, partition, column): value
        for cube, grain, effective, cohort, dims, partition, *values in store.rows("rollup")
        if grain in ("d", "dd")
        for column, value in enumerate(values)
        if value
    }
    assert found == {key: value for key, value in expected.items() if value}


def local(us: int) -> datetime:
    return (EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(ZONE))


def all_contributions(stream: Stream) -> list[Contribution]:
    return [one for month in stream.newest for fact in month.facts for one in contributions(fact, month.identified, CALENDAR)]


spans = st.tuples(st.dates(date(2026, 1, 15), date(2026, 4, 15)), st.dates(date(2026, 1, 15), date(2026, 4, 15))).filter(
    lambda ends: ends[0] < ends[1]
)


@slow
@given(
    stream=streams(),
    ends=spans,
    kpi=st.sampled_from([kpi for kpi in KPIS if kpi.id != "people" and not isinstance(kpi.formula, Modelled)]),
    grain=st.sampled_from(["none", "month", "week", "day", "year", "hour"]),
)
def test_kpis_are_what_filtering_contributions_gives(
    store: Store, stream: Stream, ends: tuple[date, date], kpi: Kpi, grain: Any
) -> None:
    """Every number of every row: by effective time, or by date, with sums and histograms made by plain code."""
    store.fill(stream.batches)
    grain = grain if grain in kpi.grains else "none"
    assume(not (kpi.ranged and grain == "none") and not kpi.survives)  # counted from touchpoints in test_loyalty_and_model
    first, last = (day_number(end.isoformat()) for end in ends)
    span = Span(
        start_of(first, grain), start_of(last, grain) if grain in ("none", "day", "hour") else start_of(last + 400, grain)
    )
    cube = kpi.cube_for(grain)
    by = kpi.per or cube.sets[0][:1]
    with store.database.snapshot() as tx:
        rows = Answers(Reading(store.database, tx, 1), CALENDAR).kpi(KpiQuestion(kpi, span, grain, by, {}, stream.as_of))
    sums: dict[tuple[object, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(cube.measures, 0))
    spreads: dict[tuple[object, ...], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for one in all_contributions(stream):
        is_of = all(one.dims[cube.dims.index(name)] == value for name, value in kpi.fixed.items())
        if one.cube == cube.name and one.at_us <= stream.as_of and is_of:
            day = one.cohort_day if one.cohort_day is not None else day_number(local(one.at_us).date().isoformat())
            if span.start <= day < span.end:
                clock_hour = day * 24 + local(one.at_us).hour
                period = clock_hour if grain == "hour" else span.start if grain == "none" else start_of(day, grain)
                place = period_name(period, grain), tuple(one.dims[cube.dims.index(name)] for name in by)
                sums[place][one.measure] += one.times * one.value
                if one.measure == cube.spread:
                    spreads[place][bucket_of(one.value)] += one.times
    names = {name for (_, name), values in sums.items() if any(values.values())}
    for row in rows:
        whole = beside(kpi, stream, span, grain, row["period"])
        if kpi.seen is not None:
            whole["agent_hours"] = agent_hours(stream, span, grain, {"period": row["period"]} | {name: row[name] for name in by})
        key = row.pop("period"), tuple(row.pop(name) for name in by)
        counts = {bucket: count for bucket, count in spreads[key].items() if count}
        answer = kpi.formula.answer(sums[key] | whole, grain, counts)
        expected = {name: getattr(answer, name) for name in ("value", "numerator", "denominator", "n", "low", "high", "open")}
        assert row == expected | dict(answer.quantiles or {}) | dict(answer.also or {})
        names.discard(key[1])
    assert not names


def agent_hours(stream: Stream, span: Span, grain: Any, row: dict[str, object]) -> int:
    """Distinct agents of each hour of a row's period, of those who were seen by now."""
    seen = set()
    for month in stream.newest:
        for fact in month.facts:
            for one in fact.agents if isinstance(fact, Day) else ():
                at, day = local(one.at_us), day_number(local(one.at_us).date().isoformat())
                period = span.start if grain == "none" else start_of(day, grain)
                known = {"period": period_name(period, grain), "hour_of_week": at.strftime("%u-%H"), "channel": one.channel}
                if span.start <= day < span.end and one.at_us <= stream.as_of and row.items() <= known.items():
                    seen.add((day, at.hour, one.agent_id))
    return len(seen)


def beside(kpi: Kpi, stream: Stream, span: Span, grain: Any, period: object) -> dict[str, int]:
    """What the KPI beside this one counts in a whole period: each contribution that is dated in it and effective by now."""
    if kpi.beside is None:
        return {}
    formula, cube = kpi.beside.formula, kpi.beside.cube
    if grain == "none" and isinstance(formula, Distinct):
        cube = formula.since
    measures = dict.fromkeys(cube.measures, 0)
    for one in all_contributions(stream):
        day = day_number(local(one.at_us).date().isoformat())
        is_dated = (
            span.start <= day < span.end and period_name(span.start if grain == "none" else start_of(day, grain), grain) == period
        )
        is_new = cube.cohort is None or (one.cohort_day is not None and one.cohort_day < span.start)
        if one.cube == cube.name and one.at_us <= stream.as_of and is_dated and is_new:
            measures[one.measure] += one.times * one.value
    return {kpi.beside.id: formula.answer(measures, grain, {}).numerator or 0}


@slow
@given(
    stream=streams(),
    ends=spans,
    journeys=st.sampled_from(["new", "returning", "all"]),
    unit=units,
    by=st.sampled_from([(), ("channel",), ("source",), ("campaign",), ("marketing_channel",)]),
)
def test_the_stage_table_is_what_filtering_contributions_gives(
    store: Store, stream: Stream, ends: tuple[date, date], journeys: Any, unit: Any, by: tuple[str, ...]
) -> None:
    store.fill(stream.batches)
    span = Span(*(day_number(end.isoformat()) for end in ends))
    with store.database.snapshot() as tx:
        started, rows = Answers(Reading(store.database, tx, 1), CALENDAR).stages(
            CohortQuestion(span, by, journeys, unit, stream.as_of)
        )
    kinds = ("new", "returning") if journeys == "all" else (journeys,)
    cubes = {"stages.person"} if unit == "person" else {f"stages.{kind}" for kind in kinds}
    sums: dict[tuple[object, ...], int] = defaultdict(int)
    times: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for one in all_contributions(stream):
        if (
            one.cube in cubes
            and one.at_us <= stream.as_of
            and one.cohort_day is not None
            and span.start <= one.cohort_day < span.end
        ):
            place: tuple[object, ...] = (one.dims[0], *(one.dims[BY_NAME[one.cube].dims.index(name)] for name in by))
            sums[(*place, one.measure)] += one.value
            if one.measure == "time_ms":
                times[place].append(one.value)
    assert started == sum(value for key, value in sums.items() if key[-1] == "started")
    for row in rows:
        group: tuple[object, ...] = (row["stage"], *(row[name] for name in by))
        for measure in ("touchpoints", "touched", "reached", "dropped", "skipped"):
            assert row[measure] == sums[(*group, measure)], measure
        assert row["in_stage_now"] == sums[(*group, "reached")] - sums[(*group, "left")] - sums[(*group, "dropped")]
        measured = sorted(times[group])
        expected: dict[str, object] = {"n": len(measured), "mean_s": None, "p50_s": None, "p90_s": None, "p99_s": None}
        if measured:
            ranks = {50: -(-len(measured) * 50 // 100), 90: -(-len(measured) * 90 // 100), 99: -(-len(measured) * 99 // 100)}
            expected["mean_s"] = sum(measured) / len(measured) / 1000
            expected |= {f"p{p}_s": middle_of(bucket_of(measured[rank - 1])) / 1000 for p, rank in ranks.items()}
        assert row["time_in_stage"] == expected
    listed = {(row["stage"], *(row[name] for name in by)) for row in rows}
    assert {key[:-1] for key, value in sums.items() if value} <= listed


@slow
@given(stream=streams(), ends=spans, journeys=st.sampled_from(["new", "returning", "all"]))
def test_transitions_are_what_filtering_contributions_gives(
    store: Store, stream: Stream, ends: tuple[date, date], journeys: Any
) -> None:
    store.fill(stream.batches)
    span = Span(*(day_number(end.isoformat()) for end in ends))
    with store.database.snapshot() as tx:
        rows = Answers(Reading(store.database, tx, 1), CALENDAR).transitions(
            CohortQuestion(span, (), journeys, "journey", stream.as_of)
        )
    cubes = {f"transitions.{kind}" for kind in ("new", "returning") if journeys in (kind, "all")}
    expected: dict[tuple[object, ...], int] = defaultdict(int)
    for one in all_contributions(stream):
        if (
            one.cube in cubes
            and one.at_us <= stream.as_of
            and one.cohort_day is not None
            and span.start <= one.cohort_day < span.end
        ):
            expected[one.dims[:2]] += one.value
    assert {(row["from"], row["to"]): row["transitions"] for row in rows} == expected


activity = st.dictionaries(
    st.sampled_from(["ann", "bob", "cy"]),
    st.tuples(st.booleans(), st.sets(st.dates(date(2026, 1, 25), date(2026, 4, 5)), min_size=1, max_size=8)),
    min_size=1,
)


def months_of(active: dict[str, tuple[bool, set[date]]]) -> list[PersonMonth]:
    """The person-months of people who did something at noon of each of their days."""
    found: dict[tuple[str, str], PersonMonth] = {}
    for person_id, (identified, on_days) in active.items():
        previous: str | None = None
        for on in sorted(on_days):
            noon = CALENDAR.day_start_us(day_number(on.isoformat())) + 12 * HOUR_US
            item = Item(noon, "page_viewed", "web", "shop", "customer", None, -1, None)
            fact = Day(day=on.isoformat(), at_us=noon, active=True, previous_active=previous, items=[item])
            month = found.setdefault(
                (person_id, on.isoformat()[:7]),
                PersonMonth(person_id=person_id, month=on.isoformat()[:7], version=1, facts=[], identified=identified),
            )
            month.facts.append(fact)
            previous = on.isoformat()
    return list(found.values())


@slow
@given(
    active=activity,
    ends=spans,
    as_of=instants,
    grain=st.sampled_from(["none", "none", "day", "week", "month", "quarter", "year"]),
    only=st.sampled_from([None, "true", "false"]),
)
def test_people_of_any_period_are_distinct(
    store: Store, active: dict[str, tuple[bool, set[date]]], ends: tuple[date, date], as_of: int, grain: Any, only: str | None
) -> None:
    store.fill([months_of(active)])
    first, last = (day_number(end.isoformat()) for end in ends)
    span = Span(start_of(first, grain), last if grain in ("none", "day") else start_of(last + 400, grain))
    filters = {} if only is None else {"identified": only}
    with store.database.snapshot() as tx:
        question = KpiQuestion(KPI_BY_ID["people"], span, grain, (), filters, as_of)
        rows = Answers(Reading(store.database, tx, 1), CALENDAR).kpi(question)
    expected: dict[str | None, set[str]] = defaultdict(set)
    for person_id, (identified, on_days) in active.items():
        for on in on_days:
            day = day_number(on.isoformat())
            known = CALENDAR.day_start_us(day) + 12 * HOUR_US <= as_of
            if known and span.start <= day < span.end and only in (None, "true" if identified else "false"):
                period = span.start if grain == "none" else start_of(day, grain)
                expected[period_name(period, grain)].add(person_id)
    assert {row["period"]: row["value"] for row in rows if row["value"]} == {name: len(of) for name, of in expected.items()}


@given(fact=facts.map(_possible))
def test_a_fact_contributes_at_its_effect_times_only(fact: Fact) -> None:
    times = effect_times(fact)
    moments = {one.at_us for one in contributions(fact, True, CALENDAR)}
    assert all(at_us in times or at_us == CALENDAR.day_start_us(CALENDAR.day_of(at_us)) for at_us in moments)
    assert times[0] == fact.at_us


@given(fact=facts)
def test_contributions_name_measures_that_there_are(fact: Fact) -> None:
    for one in contributions(fact, True, CALENDAR):
        cube = BY_NAME[one.cube]
        assert one.measure in cube.measures
        assert len(one.dims) == len(cube.dims)
        assert (one.cohort_day is None) == (cube.cohort is None)
        assert str(type(fact).__struct_config__.tag) in cube.kinds, "or as_of would miss it"
    assert all(len(cube.measures) <= 8 and len(cube.sets) <= 4 for cube in CUBES)


@slow
@given(stream=streams())
def test_a_rebuild_changes_nothing_but_the_generation(store: Store, stream: Stream) -> None:
    store.fill(stream.batches)
    before = {table: store.rows(table) for table in ("rollup", "histogram", "fact")}
    seen: list[tuple[int, int | None]] = []
    topic = TopicInfo(JOURNEYS, "t", PARTITIONS)
    counted = rebuild(
        store.database, topic, ZONE, lambda done, total, doing: seen.append((done, total)) if doing == COUNTING else None
    )
    assert before == {table: store.rows(table) for table in before}
    assert counted == len(before["fact"])
    assert (seen[0], seen[-1]) == ((0, counted), (counted, counted))
    with store.database.snapshot() as tx:
        live = generations.live(store.database, tx)
    assert live is not None
    assert (live.number, live.hash) == (2, generations.generation_hash(ZONE))
