"""Which web pages may post: any, unless the source lists its origins. No cookie is involved, so credentials do no harm."""

from __future__ import annotations

from collections.abc import Iterable

from services.ingest.request import Headers
from services.ingest.store.sources import Source
from services.shared.http import Problem

RawHeaders = list[tuple[bytes, bytes]]
_MAX_AGE_S = b"86400"


def check_origin(source: Source, origin: bytes | None) -> None:
    """Raises Problem 403 for a page that the source does not list."""
    if origin is not None and source.origins and origin.decode("latin-1") not in source.origins:
        raise Problem(403, "origin_not_allowed", f"the source {source.name!r} takes no requests from this origin")


def readable_by(origin: bytes | None) -> RawHeaders:
    """Headers that let the page read the answer, refusals included: a browser would hide them."""
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"Origin"),
    ]


def preflight(headers: Headers, sources: Iterable[Source]) -> RawHeaders:
    """The answer to OPTIONS. `sources` are those of the keys in the query, if any: a preflight carries no other.

    Raises Problem 403 for a page that they don't list.
    """
    origin = headers.get(b"origin")
    for source in sources:
        check_origin(source, origin)
    wanted = headers.get(b"access-control-request-headers", b"content-type")
    return [
        *readable_by(origin),
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", wanted),
        (b"access-control-max-age", _MAX_AGE_S),
    ]
