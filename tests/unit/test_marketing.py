"""The marketing channel of a visit."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from schemas import channels
from schemas.touchpoint import Campaign, Page
from services.journey.domain.marketing import marketing_channel
from services.shared.errors import Misconfigured
from tests.parts.needed import data_set

RULES = channels.load()
SNOWPLOW = Path(__file__).parents[3] / "shared" / "data" / "snowplow_fractribution"
SNOWPLOW_RULES = """
replace = true
otherwise = "Unmatched_Channel"

[[rules]]
channel = "Direct"
source = ["(direct)"]
medium = ["(not set)", "(none)"]

[[rules]]
channel = "Paid_Search_Brand"
medium = ["cpc", "ppc"]
campaign = ["*brand*"]

[[rules]]
channel = "Paid_Search_Other"
medium = ["cpc", "ppc"]

[[rules]]
channel = "Organic_Search"
medium = ["organic"]

[[rules]]
channel = "Video"
medium = ["referral"]
source = [".youtube.com"]

[[rules]]
channel = "Referral"
medium = ["referral"]
"""


def rules_in(folder: Path, text: str) -> channels.ChannelRules:
    path = folder / "channels.toml"
    path.write_text(text, encoding="utf-8")
    return channels.load(path)


def by_referrer(referrer: str | None, url: str = "https://shop.example/", rules: channels.ChannelRules = RULES) -> str:
    return marketing_channel(Page(url=url, referrer=referrer), None, rules)


def by_campaign(source: str | None, medium: str | None, name: str | None = None) -> str:
    return marketing_channel(None, Campaign(source=source, medium=medium, name=name), RULES)


@pytest.mark.parametrize(
    ("referrer", "channel"),
    [
        (None, "direct"),
        ("", "direct"),
        ("https://shop.example/cart", "direct"),
        ("https://www.shop.example/cart", "direct"),
        ("https://shop.example:8443/cart", "direct"),
        ("https://www.google.co.uk/", "organic_search"),
        ("https://duckduckgo.com/?q=shoes", "organic_search"),
        ("https://de.search.yahoo.com/search", "organic_search"),
        ("android-app://com.google.android.googlequicksearchbox/", "organic_search"),
        ("https://support.google.com/", "referral"),
        ("https://mail.google.com/mail/u/0", "email"),
        ("https://l.facebook.com/l.php", "social"),
        ("https://t.co/abc", "social"),
        ("https://www.youtube.com/watch?v=1", "video"),
        ("https://a-blog.example/post", "referral"),
        ("A-BLOG.example", "referral"),
        ("https://notfacebook.com/", "referral"),
        ("https://[broken", "direct"),
    ],
)
def test_a_referrer_gives_the_channel(referrer: str | None, channel: str) -> None:
    assert by_referrer(referrer) == channel


@pytest.mark.parametrize(
    ("source", "medium", "channel"),
    [
        ("(direct)", "(none)", "direct"),
        (None, None, "direct"),
        ("google", "organic", "organic_search"),
        ("google", "cpc", "paid_search"),
        ("Google", "CPC", "paid_search"),
        ("facebook", "cpc", "paid_social"),
        ("youtube", "cpc", "paid_video"),
        ("instagram", "social", "social"),
        ("instagram", None, "social"),
        ("november", "email", "email"),
        ("newsletter", None, "email"),
        ("partners", "affiliate", "affiliate"),
        ("dv360", "display", "display"),
        ("reminder", "sms", "sms"),
        ("youtube.com", "referral", "video"),
        ("support.google.com", "referral", "referral"),
        ("fax", "carrier-pigeon", "other"),
    ],
)
def test_a_campaign_gives_the_channel(source: str | None, medium: str | None, channel: str) -> None:
    assert by_campaign(source, medium) == channel


def test_a_campaign_goes_before_the_referrer() -> None:
    page = Page(url="https://shop.example/", referrer="https://www.google.com/")
    assert marketing_channel(page, Campaign(source="google", medium="cpc"), RULES) == "paid_search"


def test_a_campaign_that_was_not_sent_is_read_from_the_url() -> None:
    assert by_referrer("https://www.google.com/", "https://shop.example/?utm_source=bing&utm_medium=cpc") == "paid_search"
    assert by_referrer("https://www.google.com/", "https://shop.example/?gclid=Cj0") == "paid_search"
    assert by_referrer(None, "https://shop.example/?fbclid=Iw") == "social"


def test_without_a_page_or_a_campaign_it_is_direct() -> None:
    assert marketing_channel(None, None, RULES) == "direct"


def test_a_user_s_rules_come_first_and_groups_are_replaced(tmp_path: Path) -> None:
    rules = rules_in(
        tmp_path,
        """
        internal = [".pay.example"]
        [groups]
        social = ["clubhouse.example"]
        [[rules]]
        channel = "brand_search"
        medium = ["cpc"]
        campaign = ["*brand*", "!*generic*"]
        [[rules]]
        channel = "print"
        path = ["/flyer/*"]
        """,
    )

    def of(name: str) -> str:
        return marketing_channel(None, Campaign(source="google", medium="cpc", name=name), rules)

    assert of("Our Brand 2026") == "brand_search"
    assert of("brand and generic") == "paid_search"
    assert by_referrer("https://secure.pay.example/done", rules=rules) == "direct"
    assert by_referrer("https://clubhouse.example/", rules=rules) == "social"
    assert by_referrer("https://facebook.com/", rules=rules) == "referral"
    assert by_referrer(None, "https://shop.example/flyer/7", rules=rules) == "print"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules = 1", "not in the form"),
        ("[[rules]]\nmedium = ['cpc']", "channel"),
        ("[[rules]]\nchannel = 'x'\nmedia = ['cpc']", "media"),
        ("[[rules]]\nchannel = 'x'\nmedium = []", "length"),
        ("[[rules]]\nchannel = 'x'\nsource = ['@friends']", "no group 'friends'"),
        ("[[rules", "not in the form"),
    ],
)
def test_a_mistake_in_a_user_s_rules_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as failure:
        rules_in(tmp_path, text)
    assert str(tmp_path / "channels.toml") in str(failure.value)


@data_set(SNOWPLOW)
def test_the_published_channels_of_snowplow_s_sessions_come_out(tmp_path: Path) -> None:
    rules = rules_in(tmp_path, SNOWPLOW_RULES)
    with (SNOWPLOW / "snowplow_fractribution_channel_counts_expected.csv").open(encoding="utf-8") as table:
        published: Counter[str] = Counter()
        for row in csv.DictReader(table):
            published[row["channel"]] += int(row["number_of_sessions"])
    with (SNOWPLOW / "snowplow_fractribution_events.csv").open(encoding="utf-8") as table:
        sessions = {row["domain_sessionid"]: row for row in csv.DictReader(table) if row["event_name"] == "page_view"}
    counted = Counter(
        marketing_channel(
            Page(url=row["page_url"], referrer=row["page_referrer"]),
            Campaign(source=row["mkt_source"], medium=row["mkt_medium"], name=row["mkt_campaign"]),
            rules,
        )
        for row in sessions.values()
    )
    assert counted == published
