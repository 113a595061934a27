"""Sightings share out the time between them, as the rule of what is in effect does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.journey.domain.evidence import Interval, intervals
from services.journey.domain.identity import Sighting, in_effect

times = st.lists(st.integers(0, 8), min_size=1, max_size=8).map(sorted)


def test_each_sighting_counts_until_the_next() -> None:
    assert intervals([30, 20, 10], None, has_earlier=False) == [Interval(30, None), Interval(20, 30), Interval(None, 20)]
    assert intervals([20, 10], 30, has_earlier=True) == [Interval(20, 30), Interval(10, 20)]


@given(times, st.integers(-1, 9), st.integers(1, 8))
def test_on_every_page_the_sighting_in_effect_is_the_one_whose_interval_holds_the_time(
    given_times: list[int], at: int, size: int
) -> None:
    sightings = [Sighting(time, time, 0, "s", str(index), "", 0) for index, time in enumerate(given_times)]
    newest_first = sightings[::-1]
    holding = []
    for start in range(0, len(newest_first), size):
        page = newest_first[start : start + size]
        later_us = newest_first[start - 1].time_us if start else None
        spans = intervals([one.time_us for one in page], later_us, start + size < len(newest_first))
        holding += [one for one, span in zip(page, spans, strict=True) if span is not None and span.holds(at)]
    assert holding == [in_effect(sightings, at)]
