"""Sightings share out the time between them, as the rule of what is in effect does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.journey.domain.evidence import Interval, intervals
from services.journey.domain.identity import Sighting, in_effect

times = st.lists(st.integers(0, 8), min_size=1, max_size=8).map(sorted)


def test_each_sighting_counts_until_the_next() -> None:
    assert intervals([10, 20, 30]) == [Interval(None, 20), Interval(20, 30), Interval(30, None)]
    assert intervals([10, 10, 20, 20]) == [Interval(None, 10), Interval(10, 20), None, Interval(20, None)]


@given(times, st.integers(-1, 9))
def test_the_sighting_in_effect_is_the_one_whose_interval_holds_the_time(given_times: list[int], at: int) -> None:
    sightings = [Sighting(time, time, 0, "s", str(index), "", 0) for index, time in enumerate(given_times)]
    spans = zip(sightings, intervals(given_times), strict=True)
    assert [one for one, span in spans if span is not None and span.holds(at)] == [in_effect(sightings, at)]
