"""gzip, stopped at the limit: a bomb never gets further than one byte past it."""

from __future__ import annotations

import zlib

from services.shared.errors import Rejected

_GZIP = 31
MAGIC = b"\x1f\x8b"


def too_large(limit: int) -> Rejected:
    return Rejected("body_too_large", f"send at most {limit // 1024:,} KiB a request, counted after decompression")


def unzip(body: bytes, limit: int) -> bytes:
    """The decompressed body; several gzip members follow one another as RFC 1952 has it.

    Raises Rejected: `body_too_large` past `limit`, `invalid_gzip` for anything damaged or cut short.
    """
    parts: list[bytes] = []
    size = 0
    while body:
        stream = zlib.decompressobj(_GZIP)
        try:
            part = stream.decompress(body, limit - size + 1)
        except zlib.error:
            raise Rejected("invalid_gzip", "the body is not valid gzip; send it again, or without Content-Encoding") from None
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if not stream.eof:
            raise Rejected("invalid_gzip", "the gzip body ends too early; send it again")
        parts.append(part)
        body = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)
