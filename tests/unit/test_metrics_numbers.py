"""Histograms, intervals, calendars and periods, by values that can be checked by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar import Calendar, day_number, day_text, month_of_day
from schemas.times import DAY_US, from_datetime, parse_time_us
from services.metrics.domain.histogram import BUCKETS, LARGEST, bucket_of, middle_of, spread
from services.metrics.domain.periods import Grain, Segment, Span, parse_span, period_name, periods, segments
from services.metrics.domain.statistics import Z, mean, net_score, wilson
from services.metrics.store.packing import merged, pack, unpack
from services.shared.errors import Rejected


def _orders(counts: dict[int, int]) -> st.SearchStrategy[tuple[dict[int, int], dict[int, int]]]:
    return st.permutations(list(counts.items())).map(lambda items: (counts, dict(items)))


def test_zero_and_every_number_up_to_49_have_buckets_of_their_own() -> None:
    assert [middle_of(bucket_of(value)) for value in range(50)] == [float(value) for value in range(50)]


def test_a_bucket_lies_within_one_percent_of_the_numbers_at_its_edges() -> None:
    value = 1
    while value <= LARGEST:
        bucket = bucket_of(value)
        assert abs(middle_of(bucket) - value) <= value / 100 * (1 + 1e-12), "but for the rounding of floats"
        assert bucket_of(value - 1) == bucket - 1, "value is the first of its bucket"
        value = value * 101 // 99 + 1
    assert bucket_of(10**30) == BUCKETS - 1


def test_the_spread_of_a_few_times() -> None:
    times = [0, 10, 10, 20, 1000]
    counts: dict[int, int] = {}
    for time in times:
        counts[bucket_of(time)] = counts.get(bucket_of(time), 0) + 1
    found = spread(counts, sum(times))
    assert (found.n, found.mean, found.p50) == (5, 208.0, 10.0)
    assert found.p90 == found.p99 == pytest.approx(1000, rel=0.01)
    assert spread({}, 0).mean is None


def test_packed_histograms_add_and_subtract() -> None:
    few, many = {3: 1, 900: 2}, {bucket: bucket + 1 for bucket in range(100, 200)}
    assert unpack(pack(few)) == few
    assert unpack(pack(many)) == many
    assert unpack(pack(few), pack(many), pack(many))[150] == 302
    assert merged([(pack(many), 1), (pack(few), 1), (pack(many), -1)]) == few
    back = {bucket: -count for bucket, count in few.items()}
    assert unpack(pack(back)) == back
    assert unpack(pack(back), pack(few)) == {}
    with pytest.raises(ValueError, match="32 bits"):
        pack({1: 0})


def test_z_is_the_ninety_five_percent_point() -> None:
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-6) == Z


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombes_table(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_bounds_solve_its_equation() -> None:
    interval = wilson(7, 10)
    assert interval is not None
    for bound in interval:
        assert abs(0.7 - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / 10))
    assert wilson(0, 0) is None


def test_the_interval_of_a_net_score() -> None:
    """10 answers, 6 promoters, 2 detractors: variance 0.8 − 0.4² = 0.64, standard error 0.8 / √10."""
    interval = net_score(6, 2, 10)
    assert interval is not None
    assert interval[0] == pytest.approx(0.4 - Z * 0.8 / math.sqrt(10))
    assert interval[1] == pytest.approx(0.4 + Z * 0.8 / math.sqrt(10))
    assert net_score(0, 0, 0) is None


def test_days_of_a_zone_follow_its_wall_clock() -> None:
    berlin = Calendar("Europe/Berlin")
    assert day_text(berlin.day_of(parse_time_us("2026-06-30T22:00:00Z"))) == "2026-07-01"
    assert day_text(berlin.day_of(parse_time_us("2026-06-30T21:59:59.999999Z"))) == "2026-06-30"
    assert berlin.hour_of(parse_time_us("2026-07-01T00:30:00Z")) % 24 == 2
    assert berlin.day_start_us(day_number("2026-07-01")) == parse_time_us("2026-06-30T22:00:00Z")


def test_a_day_that_begins_after_midnight_still_begins() -> None:
    """In Beirut the clock went from 2022-03-26T23:59:59 to 2022-03-27T01:00."""
    beirut = Calendar("Asia/Beirut")
    assert beirut.day_start_us(day_number("2022-03-27")) == parse_time_us("2022-03-26T22:00:00Z")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])
def test_every_day_starts_where_the_one_before_ends(zone: str) -> None:
    calendar = Calendar(zone)
    for day in range(day_number("2026-01-01"), day_number("2027-01-01")):
        start = calendar.day_start_us(day)
        assert (calendar.day_of(start - 1), calendar.day_of(start)) == (day - 1, day)


def test_utc_days_are_plain_division() -> None:
    us = from_datetime(datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert Calendar("UTC").day_of(us) == us // DAY_US == day_number("2026-03-01")


def test_periods_have_the_names_of_their_calendar() -> None:
    monday = day_number("2026-01-26")
    assert period_name(monday, "week") == "2026-W05"
    assert period_name(monday, "quarter") == "2026-Q1"
    assert period_name(monday * 24 + 13, "hour") == "2026-01-26T13"
    assert period_name(monday, "none") is None
    year = parse_span("2026-01-01", "2027-01-01", "year")
    assert [len(periods(year, grain)) for grain in ("none", "year", "quarter", "month", "day")] == [1, 1, 4, 12, 365]


def test_a_range_is_read_in_whole_months_and_single_days() -> None:
    span = parse_span("2026-01-10", "2026-04-03", "none")
    january, april = month_of_day(day_number("2026-01-31")), month_of_day(day_number("2026-04-01"))
    assert segments(span) == [
        Segment("d", day_number("2026-01-10"), day_number("2026-02-01")),
        Segment("m", january + 1, april),
        Segment("d", day_number("2026-04-01"), day_number("2026-04-03")),
    ]
    assert segments(Span(span.start, span.start)) == []


@pytest.mark.parametrize(
    ("start", "end", "grain", "code"),
    [
        ("2026-02-01", "2026-02-01", "none", "empty_range"),
        ("2026-02-02", "2026-02-01", "none", "empty_range"),
        ("2026-02-01", "2026-02-10", "month", "off_grain"),
        ("2026-01-27", "2026-02-02", "week", "off_grain"),
        ("2026-02-30", "2026-03-01", "none", "invalid_date"),
        ("20260201", "2026-03-01", "none", "invalid_date"),
        ("1900-01-01", "2026-01-01", "day", "too_many_periods"),
    ],
)
def test_wrong_ranges_are_refused(start: str, end: str, grain: Grain, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_span(start, end, grain)
    assert refused.value.code == code


def test_the_mean_of_whole_numbers_is_exact() -> None:
    assert spread({bucket_of(7): 3}, 22).mean == float(Fraction(22, 3))


@given(
    st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 1000), min_size=2, max_size=40).flatmap(_orders),
    st.integers(0, 10**9),
)
def test_the_interval_of_a_mean_is_the_same_in_whatever_order_the_rows_came(
    orders: tuple[dict[int, int], dict[int, int]], centre: int
) -> None:
    """Databases and processes read them in orders of their own."""
    one, other = orders
    assert mean(one, centre / 7) == mean(other, centre / 7)
