"""Every KPI has a page: made of its declaration and of an example that is worked out here through all rooms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.times import parse_time_us
from services.metrics.domain.catalogue import KPI_BY_ID, KPIS
from services.metrics.domain.contact_formulas import price_of, priced
from services.metrics.domain.kpis import Kpi
from services.metrics.examples import AS_OF, FROM, TO, Story, by_kpi, stories
from services.metrics.pages import pages
from tests.rooms import Rooms, accepted, rooms_in

DOCS = Path(__file__).parents[2] / "docs" / "kpis"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms_in(tmp_path_factory.mktemp("rooms")) as rooms:
        yield rooms


@pytest.mark.parametrize("story", stories(), ids=lambda story: next(iter(story.answers)))
def test_every_example_is_what_comes_out(rooms: Rooms, story: Story) -> None:
    rooms.clear(next(iter(story.answers.values())).settings.get("WAYPOST_OPENING_HOURS", ""))
    rooms.take(accepted(story.touchpoints))
    for kpi_id, example in story.answers.items():
        kpi = priced(KPI_BY_ID[kpi_id], price_of(example.settings.get("WAYPOST_COST_PER_HANDLED_MINUTE", "")))
        rows = rooms.ask(kpi, (FROM, TO), parse_time_us(AS_OF), query=example.query)
        told = [{name: row[name] for name in wanted} for row, wanted in zip(rows, example.rows, strict=True)]
        assert [_plain(row) for row in told] == [_plain(row) for row in example.rows], kpi_id


def _plain(row: dict[str, object]) -> dict[str, object]:
    """Numbers to the precision that a page shows."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def test_every_kpi_has_an_example() -> None:
    """Add it to a story in services/metrics/examples, or a story of its own; its touchpoints are those that a sender posts."""
    assert set(by_kpi()) == {kpi.id for kpi in KPIS}


def test_no_kpi_has_two_examples() -> None:
    told = [kpi_id for story in stories() for kpi_id in story.answers]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.id)
def test_every_kpi_says_what_it_is(kpi: Kpi) -> None:
    assert kpi.source, "the standard or paper that it follows, or OWN"
    assert kpi.definition.endswith(".")
    assert kpi.formula.text()
    assert kpi.grains[-1] == "none"


def test_the_pages_in_docs_are_those_of_the_declarations() -> None:
    """`python -m services.metrics.pages docs/kpis` makes them anew."""
    assert {file.name: file.read_text() for file in DOCS.iterdir()} == pages()
