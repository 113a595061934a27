"""The dashboard in a real browser, against a real service: what it shows is what the API answers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from schemas.touchpoint import STAGES
from services.cli.demo.child import serving
from tests.browser.conftest import Served, Watched

COUNTS = ("reached", "conversion", "dropped", "in_stage_now", "skipped")
SUMS = {"journeys": "entry_stage", "people": "identified", "touchpoints": "channel", "visits": "channel", "orders": "stage"}


def range_of(page: Page) -> dict[str, str]:
    """What the page shows, as the API's parameters."""
    last = date.fromisoformat(page.locator("#to").input_value())
    return {"from": page.locator("#from").input_value(), "to": str(last + timedelta(days=1))}


def shown(page: Page, field: str) -> list[float | None]:
    """A column of the funnel's table, exact."""
    texts = [cell.get_attribute("data-value") for cell in page.locator(f"#funnel-table td[data-field={field}]").all()]
    return [None if text in (None, "null") else float(text) for text in texts]


def funnel_is_the_api_s(watched: Watched, journeys: str) -> None:
    answer = watched.served.ask("/v1/stages", **range_of(watched.page), journeys=journeys)
    assert watched.page.locator("#funnel-table tbody tr").count() == len(STAGES)
    for field in COUNTS:
        assert shown(watched.page, field) == [row[field] for row in answer["stages"]]
    for field in ("p50", "p90"):
        assert shown(watched.page, field) == [row["time_in_stage"][f"{field}_s"] for row in answer["stages"]]
    assert sum(row["reached"] for row in answer["stages"]) > 0


def somebody(served: Served) -> Any:
    """A person who has ordered, contacted the service and is known as a customer."""
    for case in served.ask("/v1/cases", limit=100)["cases"]:
        person = served.ask(f"/v1/persons/person_id:{case['person_id']}")
        if person["identities"][0].startswith("customer_id:") and any(journey["orders"] for journey in person["journeys"]):
            return person
    raise AssertionError("the generated year has nobody with an order and a case")


def test_the_page_opens_without_an_error_and_every_chart_is_drawn(dashboard: Watched) -> None:
    dashboard.open()
    for chart in ("funnel-chart", "time-chart", "volume-chart"):
        expect(dashboard.page.locator(f"#{chart} .main-svg").first).to_be_visible()
    expect(dashboard.page.locator("#basis")).to_contain_text("As of")
    assert dashboard.errors == []


@pytest.mark.parametrize("journeys", ["new", "returning", "all"])
def test_the_funnel_shows_what_the_api_answers(dashboard: Watched, journeys: str) -> None:
    dashboard.open(f"journeys={journeys}")
    funnel_is_the_api_s(dashboard, journeys)


def test_a_preset_changes_the_days_and_every_figure_with_them(dashboard: Watched) -> None:
    dashboard.open()
    before = range_of(dashboard.page)
    dashboard.page.get_by_label("90 days").check()
    dashboard.drawn()
    after = range_of(dashboard.page)
    assert after["to"] == before["to"]
    assert date.fromisoformat(after["to"]) - date.fromisoformat(after["from"]) == timedelta(days=90)
    funnel_is_the_api_s(dashboard, "new")


def test_headline_figures_are_the_kpis(dashboard: Watched) -> None:
    dashboard.open()
    for kpi, by in SUMS.items():
        answer = dashboard.served.ask(f"/v1/kpis/{kpi}", **range_of(dashboard.page), by=by)
        figure = dashboard.page.locator(f"#tile-{kpi} .figure")
        assert float(figure.get_attribute("data-value") or "nan") == sum(row["value"] for row in answer["rows"]) > 0
    (nps,) = dashboard.served.ask("/v1/kpis/nps", **range_of(dashboard.page))["rows"]
    expect(dashboard.page.locator("#tile-nps .note")).to_contain_text(f"n = {nps['n']}")


def test_looking_up_a_person_shows_the_journey_as_a_timeline(dashboard: Watched) -> None:
    person = somebody(dashboard.served)
    journeys = person["journeys"]
    dashboard.open()
    dashboard.page.get_by_label("Look up a person").fill(person["identities"][0])
    dashboard.page.keyboard.press("Enter")
    dashboard.page.locator("#person[data-state=ready]").wait_for()
    expect(dashboard.page.locator("#person-title")).to_have_text(person["identities"][0])
    expect(dashboard.page.locator("#person .facts")).to_contain_text(f"{person['touchpoints']} touchpoints")
    stays = [stage for journey in journeys for stage in journey["stages"] if stage["reached_at"] not in (None, stage["left_at"])]
    things = [
        thing for journey in [*journeys, person["outside"]] for kind in ("orders", "cases", "surveys") for thing in journey[kind]
    ]
    expect(dashboard.page.locator("#timeline .scatterlayer .point")).to_have_count(
        person["touchpoints"] + len(stays) + len(things)
    )
    expect(dashboard.page.locator("#person .journey")).to_have_count(min(len(journeys), 4))
    assert dashboard.page.locator("#person-json").get_attribute("href") == f"/v1/persons/{person['identities'][0]}"
    assert dashboard.errors == []


def test_the_address_keeps_what_is_shown(dashboard: Watched) -> None:
    person = somebody(dashboard.served)["identities"][0]
    dashboard.open(f"person={person}&journeys=all&from=2026-01-01&to=2026-06-30")
    dashboard.page.locator("#person[data-state=ready]").wait_for()
    assert range_of(dashboard.page) == {"from": "2026-01-01", "to": "2026-07-01"}
    dashboard.page.keyboard.press("Escape")
    expect(dashboard.page.locator("#person")).to_be_hidden()
    expect(dashboard.page.locator("#identity")).to_be_focused()
    assert "person" not in dashboard.page.url


def test_an_unknown_person_and_a_bad_name_are_told_so(dashboard: Watched) -> None:
    dashboard.open()
    for name, message in (
        ("customer_id:nobody-at-all", "Nobody is known as"),
        ("no namespace", "namespace:value"),
        ("email:null", "stands for nobody"),
    ):
        dashboard.page.get_by_label("Look up a person").fill(name)
        dashboard.page.get_by_role("button", name="Show").click()
        expect(dashboard.page.locator("#person .message")).to_contain_text(message)
        expect(dashboard.page.locator("#person-content")).to_be_hidden()
    assert all("Failed to load resource" in error for error in dashboard.errors), "the browser itself reports 404 and 422"


def test_markup_in_data_is_text(dashboard: Watched) -> None:
    markup = '<img src=x onerror="document.title=1"><a href="https://example.org">a</a>'
    dashboard.served.post("website", {"type": markup, "channel": "web", "identities": {"customer_id": markup}})
    dashboard.open()
    dashboard.page.get_by_label("Look up a person").fill(f"customer_id:{markup}")
    dashboard.page.keyboard.press("Enter")
    dashboard.page.locator("#person[data-state=ready]").wait_for()
    expect(dashboard.page.locator("#person-title")).to_have_text(f"customer_id:{markup}")
    dashboard.page.get_by_text("1 touchpoint, the newest first").click()
    expect(dashboard.page.get_by_role("cell", name=markup)).to_be_visible()
    dashboard.page.locator("#timeline .draglayer .nsewdrag").hover()
    dashboard.page.locator("#timeline .scatterlayer .point").last.hover(force=True)
    expect(dashboard.page.locator("#timeline .hoverlayer .hovertext").last).to_contain_text("<img")
    assert dashboard.page.locator("#person img, #person a[href^=http]").count() == 0
    assert dashboard.page.title() == "Waypost"
    assert dashboard.errors == []


def test_a_legend_entry_hides_its_series(dashboard: Watched) -> None:
    dashboard.open()
    traces = dashboard.page.locator("#volume-chart .barlayer .trace")
    drawn = traces.count()
    entry = dashboard.page.locator("#volume-legend button").first
    entry.click()
    expect(traces).to_have_count(drawn - 1)
    expect(entry).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800, 1440])
def test_the_page_fits_every_screen(browser: Browser, served: Served, width: int, scheme: Any) -> None:
    with browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme) as context:
        watched = Watched(context.new_page(), served)
        watched.open(f"person={somebody(served)['identities'][0]}")
        watched.page.locator("#person[data-state=ready]").wait_for()
        assert watched.page.evaluate("document.documentElement.scrollWidth") == width
        assert watched.errors == []


def test_a_service_without_data_says_what_to_do(browser: Browser, tmp_path: Any) -> None:
    with serving(tmp_path, ["website"]) as child, browser.new_context() as context:
        watched = Watched(context.new_page(), Served(child.url, child.keys))
        watched.page.goto(child.url)
        expect(watched.page.locator("#notice")).to_contain_text("No touchpoint has arrived yet")
        assert watched.errors == []
