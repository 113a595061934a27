"""Which marketing channel a visit came through, by the rules of `schemas.channels`."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, urlsplit

from schemas.channels import ChannelRules
from schemas.touchpoint import Campaign, Page

_NO_CAMPAIGN = Campaign()
_NO_URL = urlsplit("")


def marketing_channel(page: Page | None, campaign: Campaign | None, rules: ChannelRules) -> str:
    """The channel of the first rule that holds.

    What the campaign leaves open is taken from the page URL's `utm_…` parameters. A referrer on the page's own host, or on one
    that the rules call internal, counts as none. Senders' URLs may be anything; what is no URL counts as none.
    """
    url = _split(page.url) if page is not None else _NO_URL
    referrer = _split(page.referrer) if page is not None else _NO_URL
    given = campaign if campaign is not None else _NO_CAMPAIGN
    query = {name.lower(): value for name, value in parse_qsl(url.query)} if url.query else {}
    host = _host(referrer)
    return _channel(
        rules,
        source=_lower(given.source or query.get("utm_source")),
        medium=_lower(given.medium or query.get("utm_medium")),
        campaign=_lower(given.name or query.get("utm_campaign")),
        term=_lower(given.term or query.get("utm_term")),
        content=_lower(given.content or query.get("utm_content")),
        referrer="" if host and (host == _host(url) or rules.internal.fits(host)) else host,
        path=_lower(page.path if page is not None and page.path else url.path),
        parameters=tuple(query),
    )


@lru_cache(maxsize=8192)
def _channel(rules: ChannelRules, parameters: tuple[str, ...], **seen: str) -> str:
    for rule in rules.rules:
        for looked_at, condition in rule.conditions.items():
            if looked_at == "parameter":
                if not any(condition.fits(name) for name in parameters):
                    break
            elif not condition.fits(seen[looked_at]):
                break
        else:
            return rule.channel
    return rules.otherwise


def _lower(text: str | None) -> str:
    return text.strip().lower() if text else ""


@lru_cache(maxsize=1024)
def _split(url: str | None) -> SplitResult:
    if not url:
        return _NO_URL
    try:
        return urlsplit(url.strip() if "//" in url else f"//{url.strip()}")
    except ValueError:
        return _NO_URL


def _host(url: SplitResult) -> str:
    """The host without `www.` and `m.`; an app's referrer (`android-app://…`) keeps its scheme."""
    host = url.netloc.rpartition("@")[2].partition(":")[0].lower().removeprefix("www.").removeprefix("m.")
    return f"{url.scheme}://{host}" if url.scheme == "android-app" else host
