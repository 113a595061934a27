"""The client of the ingest benchmarks: requests made beforehand, so many in flight, each on a connection that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

PATH = "/v1/touchpoints"


class Refused(Exception):
    """The server did not take a request; the text is its answer."""


def request(body: bytes, key: str) -> bytes:
    """The bytes of one POST of touchpoints."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Write-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send(port: int, requests: Sequence[bytes], in_flight: int) -> None:
    """Send all of them and return once all are answered. Raises Refused for any answer but 202."""
    asyncio.run(_send(port, requests, in_flight))


async def _send(port: int, requests: Sequence[bytes], in_flight: int) -> None:
    left = iter(requests)
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(_one_connection(port, left))


async def _one_connection(port: int, left: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for sent in left:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            if not head.startswith(b"HTTP/1.1 202"):
                raise Refused((head + body).decode(errors="replace"))
    finally:
        writer.close()
        await writer.wait_closed()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
