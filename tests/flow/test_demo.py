"""The demonstration, and the other commands, as a user runs them: real processes, a real service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from services.cli.client import Service
from services.cli.demo.child import Child, serving
from services.cli.demo.compare import Line
from services.cli.demo.figures import Figures
from services.cli.sending import Sender
from services.cli.simulate.story import DAY_US
from services.cli.simulate.truth import Truth, tell_the_truth
from services.cli.simulate.year import SOURCES, Year, batches, generate

UNTIL_US = 20_000 * DAY_US
START = [sys.executable, "-m", "services"]


def waypost(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    wide = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run([*START, *words], capture_output=True, text=True, check=False, timeout=120, env=wide)


@contextmanager
def up(*words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`waypost up`, and the lines that it says until it listens; ended if the test does not end it."""
    with subprocess.Popen([*START, "up", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said: list[str] = []
            while not said or "listens" not in said[-1]:
                line = process.stdout.readline()
                assert line, f"ended with {process.wait()} after {said}"
                said.append(line.strip())
            yield process, said
        finally:
            process.kill()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with serving(tmp_path_factory.mktemp("service"), SOURCES) as running:
        yield running


def test_the_demonstration_finds_every_answer_right() -> None:
    done = waypost("demo", "--exit", "--people", "150", "--touchpoints", "3000", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers are right" in done.stdout
    assert "touchpoints a second" in done.stdout
    assert "✗" not in done.stdout
    for stage in ("awareness", "consideration", "purchase", "loyalty", "advocacy"):
        assert stage in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_demonstration_goes_on_serving_until_it_is_stopped_and_leaves_nothing_behind(
    number: signal.Signals, code: int
) -> None:
    words = [*START, "demo", "--people", "20", "--touchpoints", "400"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as process:
        assert process.stdout is not None
        url = next(word for line in process.stdout if "Look around" in line for word in line.split() if word.startswith("http"))
        with closing(Service(url)) as service:
            assert service.is_ready()
            process.send_signal(number)
            assert process.wait(60) == code
            assert not service.is_ready()


def test_rebuilding_changes_no_answer(tmp_path: Path) -> None:
    year = generate(80, 1_600, 11, UNTIL_US)
    truth = tell_the_truth(year)
    with serving(tmp_path, SOURCES) as running:
        token = send_all(running, year)
        assert [line for line in answers(running, year, truth, token) if not line.is_right] == []
    for room in ("journey", "metrics"):
        done = waypost("rebuild", room, "--data", str(tmp_path / "data"))
        assert done.returncode == 0, done.stderr
    with serving(tmp_path, SOURCES) as running:
        assert [line for line in answers(running, year, truth, token) if not line.is_right] == []
        checked = waypost("check", "--all", "--url", running.url)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        root = next(iter(truth.persons))
        assert root in waypost("person", root, "--url", running.url).stdout


def test_a_wrong_answer_is_found(tmp_path: Path) -> None:
    year = generate(30, 600, 12, UNTIL_US)
    truth = tell_the_truth(year)
    with serving(tmp_path, SOURCES) as running:
        token = send_all(running, Year(year.calendar, year.happenings, year.deliveries[len(year.deliveries) // 2 :]))
        wrong = [line.what for line in answers(running, year, truth, token) if not line.is_right]
    assert "touchpoints" in wrong
    assert any("people looked up" in what for what in wrong)


def send_all(running: Child, year: Year) -> str:
    sender = Sender(running.url)
    for source, bodies in batches(year.deliveries, 400, 100):
        sender.send(running.keys[source], [msgspec.json.encode(body) for body in bodies], lambda receipt: None)
    return sender.finish()


def answers(running: Child, year: Year, truth: Truth, token: str) -> list[Line]:
    with closing(Service(running.url)) as service:
        return list(Figures(service, truth, year.calendar, token).lines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_service_that_is_asked_to_stop_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with up("--data", str(tmp_path), "--port", "0") as (process, said):
        with closing(Service(said[-1].split()[-1])) as service:
            assert service.is_ready()
        process.send_signal(number)
        _, errors = process.communicate(timeout=40)
        assert (process.returncode, errors) == (0, "")


def test_the_first_start_shows_a_write_key_that_works_and_the_second_does_not_show_it_again(tmp_path: Path) -> None:
    with up("--data", str(tmp_path), "--port", "0") as (_, said):
        key = (tmp_path / "write-key").read_text().strip()
        assert key in said[0]
        touchpoint = b'{"type":"page_viewed","identities":{"customer_id":"ann"}}'
        with closing(Service(said[-1].split()[-1])) as service:
            assert service.send(key, [touchpoint]).accepted == 1
    with up("--data", str(tmp_path), "--port", "0") as (_, again):
        assert len(again) == 1


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = waypost("up", "--data", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_that_others_can_reach_needs_tokens(tmp_path: Path) -> None:
    done = waypost("up", "--data", str(tmp_path), "--port", "0", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "WAYPOST_READ_TOKENS" in done.stderr


def test_an_unknown_setting_is_named() -> None:
    done = waypost("up", WAYPOST_COLOUR="red")
    assert (done.returncode, "WAYPOST_COLOUR" in done.stderr) == (2, True)


def test_a_service_that_is_not_there_is_said_to_be_not_there() -> None:
    done = waypost("kpis", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no Waypost answers at http://127.0.0.1:9" in done.stderr


def test_simulated_touchpoints_are_counted(child: Child) -> None:
    key, url = child.keys["website"], child.url
    done = waypost("simulate", "--url", url, "--key", key, "--count", "60", "--rate", "600", "--people", "20", "--seed", "5")
    assert done.returncode == 0, done.stderr
    listed = waypost("kpis", "--url", url)
    assert "gross_revenue" in listed.stdout
    assert waypost("kpis", "touchpoints", "--url", url, "--days", "40").returncode == 0
    unknown = waypost("kpis", "happiness", "--url", url)
    assert unknown.returncode == 1
    assert "unknown_kpi" in unknown.stderr


def test_a_wrong_write_key_is_refused_with_the_services_own_words(child: Child, tmp_path: Path) -> None:
    file = tmp_path / "one.ndjson"
    file.write_text('{"type":"t","identities":{"customer_id":"c"}}\n')
    done = waypost("import", str(file), "--url", child.url, "--key", "c" + 30 * "0")
    assert done.returncode == 1
    assert "unknown_write_key" in done.stderr


def test_refused_lines_are_listed_and_the_good_ones_are_kept(child: Child, tmp_path: Path) -> None:
    file, rejects = tmp_path / "some.ndjson", tmp_path / "rejects.csv"
    good = '{"type":"t","identities":{"customer_id":"import-%d"}}\n'
    file.write_text(good % 1 + "{oops\n" + '{"type":"t"}\n' + good % 2)
    done = waypost("import", str(file), "--url", child.url, "--key", child.keys["crm"], "--rejects", str(rejects))
    assert done.returncode == 1
    assert "2 touchpoints accepted, 2 lines refused" in done.stdout
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["line", "2", "3"]


def test_a_table_without_a_map_asks_for_one(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text("a,b\n")
    done = waypost("import", str(file), "--key", "c" + 30 * "0")
    assert done.returncode == 2
    assert "--map" in done.stderr


def test_sources_are_added_listed_and_revoked(tmp_path: Path) -> None:
    added = waypost("sources", "add", "shop", "--data", str(tmp_path), "--system", "erp")
    assert added.returncode == 0
    assert "shop  (system erp, 1 keys)" in waypost("sources", "list", "--data", str(tmp_path)).stdout
    assert waypost("sources", "revoke", "shop", "--data", str(tmp_path)).stdout == "1 keys of shop are revoked\n"
    unknown = waypost("sources", "revoke", "nobody", "--data", str(tmp_path))
    assert (unknown.returncode, "unknown_source" in unknown.stderr) == (1, True)
