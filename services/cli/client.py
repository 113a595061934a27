"""A connection to a running service: the HTTP API as calls. Standard library only; one thread at a time."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from services.shared.errors import Misconfigured, Rejected, Unavailable

DEFAULT_URL = "http://127.0.0.1:8000"
WAIT_S = 60.0
"""How long a call goes on trying while the service is away or busy."""
ASK_S = 3.0
"""How long what somebody asks at a terminal does; the answer itself may take as long as it wants."""
ANSWER_S = 900.0
"""How long one answer may take: a check recounts everything that is stored."""
NDJSON = "application/x-ndjson"
_RETRIED = frozenset({429, 503, 504})


class Outcome(NamedTuple):
    """What became of one touchpoint that was not accepted; `item` is its place in the request."""

    item: int
    code: str
    message: str


class Receipt(NamedTuple):
    """The answer to one request of `items`: how many were accepted, what was refused, the token to wait for.

    What is neither stood twice in the request.
    """

    items: int
    accepted: int
    refused: list[Outcome]
    token: str


class Service:
    """The API at `url`. `token` is a read or admin token where the service wants one.

    Raises Unavailable when the service does not answer in time, Rejected when it says no, with its code and message.
    """

    def __init__(self, url: str = DEFAULT_URL, token: str = "", wait_s: float = WAIT_S) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured(f"{url!r} is no address of a service; write it like {DEFAULT_URL}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._connection = kind(parts.hostname, parts.port, timeout=ANSWER_S)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._wait_s = wait_s

    def get(self, path: str, query: Mapping[str, object] | None = None, after: str = "") -> Any:
        """The JSON at `path`; with `after`, a receipt's token, only once what it stands for is visible there."""
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return self._call("GET", asked, None, _waiting(after))

    def lines(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[Any]:
        """The JSON lines at `path` as they come; waits for the first as `get` does. Raises Unavailable if they end before their time."""
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        with self._streamed(asked, {"Accept": NDJSON}) as response:
            for line in response:
                yield msgspec.json.decode(line)

    def post(self, path: str, body: object) -> Any:
        return self._call("POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"})

    def download(self, path: str, into: BinaryIO) -> None:
        """Write the answer at `path` as it comes; waits for the first of it as `get` does. Raises Unavailable if it ends before its time."""
        with self._streamed(path, {}) as response:
            shutil.copyfileobj(response, into)
            if response.length:  # http.client takes an answer that was cut off for a whole one
                raise http.client.IncompleteRead(b"", response.length)

    def delete(self, path: str, after: str = "") -> Any:
        """With `after` as in `get`."""
        return self._call("DELETE", path, None, _waiting(after))

    def send(self, key: str, touchpoints: Sequence[bytes]) -> Receipt:
        """Post touchpoints, each as JSON, until the service has said of each that it is kept or that it is refused."""
        headers = {"Content-Type": "application/x-ndjson", "X-Write-Key": key}
        answer = self._call("POST", "/v1/touchpoints", b"\n".join(touchpoints), headers, expected=(202, 422))
        if "results" not in answer:
            raise Rejected(answer["code"], answer["message"])
        refused = [
            Outcome(result["index"], result.get("code") or "rejected", result.get("message") or "")
            for result in answer["results"]
            if result["status"] == "rejected"
        ]
        return Receipt(len(touchpoints), answer["accepted"], refused, answer.get("token") or "")

    def close(self) -> None:
        self._connection.close()

    def is_ready(self) -> bool:
        """Whether the service is up and can do its work; never waits."""
        try:
            self._exchange("GET", "/health/ready", None, {})
        except (OSError, http.client.HTTPException, Rejected, _TryAgain):
            self._connection.close()
            return False
        return True

    @contextmanager
    def _streamed(self, path: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """An answer to be read as it comes, once the service answers at all; it is not asked for twice."""
        self.get("/health/live")
        try:
            self._connection.request("GET", self._prefix + path, None, {**self._headers, **headers})
            with self._connection.getresponse() as response:
                if response.status != 200:
                    raise _refused(_decoded(response.read(), response.status, self.url), response.status)
                yield response
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unavailable(f"{self.url}{path} did not come to its end: {error}") from None

    def _call(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], expected: tuple[int, ...] = (200, 202)
    ) -> Any:
        give_up, wait_s = time.monotonic() + self._wait_s, 0.1
        while True:
            try:
                return self._exchange(method, path, body, headers, expected)
            except _TryAgain as error:
                reason, asked_s = error.reason, error.after_s
            except TimeoutError:  # asking again would only have the same work done twice
                self._connection.close()
                raise Unavailable(f"{self.url}{path} has not been answered for {ANSWER_S:g} s") from None
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                reason, asked_s = f"no Waypost answers at {self.url} ({error}); start one with `waypost up`", wait_s
            if time.monotonic() >= give_up:
                raise Unavailable(reason)
            time.sleep(min(max(wait_s, asked_s), 5.0, max(give_up - time.monotonic(), 0)))
            wait_s = min(2 * wait_s, 2.0)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], expected: tuple[int, ...] = (200, 202)
    ) -> Any:
        self._connection.request(method, self._prefix + path, body, {**self._headers, **headers})
        with self._connection.getresponse() as response:
            raw, status, after = response.read(), response.status, response.headers.get("Retry-After", "0")
        answer = _decoded(raw, status, self.url)
        if status in expected:
            return answer
        refused = _refused(answer, status)
        if status in _RETRIED:
            raise _TryAgain(refused.message, float(after) if after.isdigit() else 0.0)
        raise refused


class _TryAgain(Exception):
    def __init__(self, reason: str, after_s: float) -> None:
        super().__init__(reason)
        self.reason, self.after_s = reason, after_s


def _waiting(after: str) -> dict[str, str]:
    return {"X-Waypost-After": after} if after else {}


def _refused(answer: Any, status: int) -> Rejected:
    problem = answer if isinstance(answer, dict) else {}
    return Rejected(str(problem.get("code") or f"http_{status}"), str(problem.get("message") or f"the service answered {status}"))


def _decoded(raw: bytes, status: int, url: str) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        if status in _RETRIED:
            return None
        raise Rejected("not_waypost", f"what answers at {url} is not Waypost (status {status}, no JSON)") from None
