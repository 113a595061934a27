"""Worked examples of comparing shares."""

from __future__ import annotations

from math import exp, sqrt

import pytest

from services.metrics.domain.lift import Against, chi_squared_tail, evenness, lift, lifted

TRIAL = Against("variant", "control", even=True)


def row(variant: str, hits: int, n: int) -> dict[str, object]:
    return {"period": None, "experiment": "cta", "variant": variant, "numerator": hits, "denominator": n}


def test_a_lift_has_an_interval_and_a_p_value() -> None:
    """120 of 1,000 against 100 of 1,000: a fifth more. The logarithm's error is √(1/120 − 1/1000 + 1/100 − 1/1000) = 0.12780;
    z = 0.02 / √(0.11 × 0.89 × 0.002) = 1.42932, of which both tails are 0.15291."""
    found = lift(120, 1000, 100, 1000)
    half = 1.959964 * sqrt(1 / 120 - 1 / 1000 + 1 / 100 - 1 / 1000)
    assert found.lift == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([1.2 * exp(-half) - 1, 1.2 * exp(half) - 1])
    assert found.p_value == pytest.approx(0.15291, abs=1e-5)


def test_where_nothing_converts_there_is_no_lift() -> None:
    assert lift(5, 10, 0, 10)[:3] == (None, None, None)
    assert lift(0, 10, 5, 10)[:3] == (-1.0, None, None)
    assert lift(0, 10, 0, 10) == (None, None, None, None)
    assert lift(0, 0, 5, 10) == (None, None, None, None)


@pytest.mark.parametrize(
    ("value", "freedom", "tail"), [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (18.466827, 4, 0.001)]
)
def test_chi_squared_has_its_published_tails(value: float, freedom: int, tail: float) -> None:
    assert chi_squared_tail(value, freedom) == pytest.approx(tail, abs=1e-7)


def test_variants_of_uneven_size_warn() -> None:
    """1,000 to 1,150 is χ² = 150² / 2,150 = 10.465: by chance once in 800 times; 1,000 to 1,200 is 18.18: once in 50,000 times."""
    assert evenness([1000, 1150]) == pytest.approx(0.001216, abs=1e-6)
    assert evenness([5]) is None
    fine = lifted(TRIAL, [row("control", 100, 1000), row("b", 120, 1150)], ("experiment", "variant"))
    odd = lifted(TRIAL, [row("control", 100, 1000), row("b", 120, 1200)], ("experiment", "variant"))
    assert [one["warning"] for one in fine] == [None, None]
    assert [one["warning"] for one in odd] == ["sample_ratio_mismatch"] * 2


def test_variants_are_compared_with_the_control_and_without_one_with_the_first() -> None:
    with_control = lifted(TRIAL, [row("a", 20, 100), row("control", 10, 100)], ("experiment", "variant"))
    assert [one["lift"] for one in with_control] == [pytest.approx(1.0), None]
    without = lifted(TRIAL, [row("a", 20, 100), row("b", 10, 100)], ("experiment", "variant"))
    assert [one["lift"] for one in without] == [None, pytest.approx(-0.5)]
