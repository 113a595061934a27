"""A person is erased everywhere: over HTTP, through every room, and in the bytes of the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.shared.errors import Rejected
from tests.flow.erasing import ANNA, erased, sent
from tests.parts.installation import Installation, ask, check, embedded

SECRETS = [b"anna-secret", b"visitor-secret", b"order-secret", b"page-secret"]
OTHER = b'{"id":"o1","type":"product_viewed","identities":{"customer_id":"bert"}}'


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with embedded(tmp_path_factory.mktemp("erasure")) as started:
        yield started


def orders(installation: Installation, token: str) -> int:
    return int(ask(installation.metrics[0], "/v1/check/metrics", after=token)["checked"])


def test_a_person_is_erased_everywhere_and_a_replay_brings_nothing_back(installation: Installation) -> None:
    before = orders(installation, sent(installation, [OTHER]))
    token = sent(installation, ANNA)
    process = installation.journeys[0]
    person_id = ask(process, "/v1/persons/customer_id:anna-secret", after=token)["person_id"]
    assert orders(installation, token) > before
    with closing(process.service()) as service:
        receipt = erased(service, service.delete("/v1/persons/customer_id:anna-secret"))
        assert receipt["removed"]["journey"]["touchpoints"] == 2
        assert receipt["removed"]["metrics"]["months"] == receipt["removed"]["journeys"]["nulls"] == 1
        assert {held["topic"] for held in receipt["held"]} == {"touchpoints", "touchpoints.rejected", "commands", "journeys"}
        with pytest.raises(Rejected) as gone:
            service.get(f"/v1/persons/person_id:{person_id}")
        assert gone.value.code == "erased_person"
    assert orders(installation, token) == before
    late = ANNA[1].replace(b'"id":"a2"', b'"id":"a3","occurred_at":"2026-01-01T00:00:00Z"')
    token = sent(installation, [late])
    with closing(process.service()) as service, pytest.raises(Rejected) as unknown:
        service.get("/v1/persons/customer_id:anna-secret", after=token)
    assert unknown.value.code == "unknown_person"
    again = b'{"id":"a9","type":"product_viewed","identities":{"customer_id":"anna-secret"}}'
    back = ask(process, "/v1/persons/customer_id:anna-secret", after=sent(installation, [again]))
    assert back["touchpoints"] == 1
    assert back["person_id"] != person_id
    assert check(process, "journey")[1:] == (0, [])
    assert check(process, "metrics")[1:] == (0, [])


def test_who_sends_and_erases_at_once_says_after_what(installation: Installation) -> None:
    many = [b'{"id":"m%d","type":"page_viewed","identities":{"customer_id":"m%d"}}' % (n, n % 9) for n in range(900)]
    token = sent(installation, [*many, b'{"id":"n1","type":"page_viewed","identities":{"customer_id":"nora"}}'])
    with closing(installation.journeys[0].service()) as service:
        receipt = erased(service, service.delete("/v1/persons/customer_id:nora", after=token))
        assert receipt["removed"]["journey"]["touchpoints"] == 1
        with pytest.raises(Rejected, match="unknown_person"):
            service.get("/v1/persons/customer_id:nora")


def test_nothing_of_the_person_is_left_in_the_files(tmp_path: Path) -> None:
    with embedded(tmp_path) as started:
        token = sent(started, [OTHER, *ANNA])
        ask(started.metrics[0], "/v1/check/metrics", after=token)
        with closing(started.journeys[0].service()) as service:
            erased(service, service.delete("/v1/persons/customer_id:anna-secret"))
        started.processes[0].stop()
        for file in sorted(os.listdir(tmp_path / "data")):
            held = [secret for secret in SECRETS if secret in (tmp_path / "data" / file).read_bytes()]
            assert held == [] or file.startswith("bus.db"), file
