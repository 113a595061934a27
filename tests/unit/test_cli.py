"""Small parts of the command line."""

from __future__ import annotations

import io
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from schemas import topics
from services.cli.client import Service
from services.cli.commands import write_key
from services.cli.demo.compare import Line, table
from services.cli.parts import open_bus, open_database, topic_specs
from services.cli.rejected import selected
from services.cli.serving import address, listen
from services.shared.config import load
from services.shared.errors import Misconfigured, Unavailable


def test_a_comparison_is_right_only_if_both_sides_are_equal() -> None:
    right, wrong = Line("people", 5, 5), Line("revenue", (1, 2), (1, 3))
    assert (right.is_right, wrong.is_right) == (True, False)
    shown = io.StringIO()
    Console(file=shown, width=120).print(table([right, wrong]))
    assert shown.getvalue().count("✓") == shown.getvalue().count("✗") == 1


def test_a_free_port_is_taken_and_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        taken = listen("::1", 0)
    except Misconfigured:
        pytest.skip("this machine has no IPv6 loopback")
    with taken:
        assert address(taken).startswith("http://[::1]:")


@pytest.mark.parametrize("url", ["ftp://host", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="is no address of a service"):
        Service(url)


def test_a_download_that_was_cut_off_is_not_taken_for_a_whole_one() -> None:
    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for said in (b"Content-Length: 2\r\n\r\n{}", b'Content-Length: 100\r\n\r\n{"person_id":'):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + said)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer, server)
        with closing(Service(address(server))) as service, pytest.raises(Unavailable, match="did not come to its end"):
            service.download("/v1/persons/customer_id:c/export", io.BytesIO())
        answering.result(10)


def test_the_write_key_comes_from_the_command_line_or_the_data_folder(tmp_path: Path) -> None:
    assert write_key("cGiven", tmp_path) == "cGiven"
    with pytest.raises(Misconfigured, match="give one with --key"):
        write_key(None, tmp_path)
    (tmp_path / "write-key").write_text("cKept\n")
    assert write_key(None, tmp_path) == "cKept"


def test_every_topic_has_equally_many_partitions_and_only_journeys_is_compacted(tmp_path: Path) -> None:
    specs = topic_specs(load(data=tmp_path, partitions=3))
    assert {spec.partitions for spec in specs} == {3}
    assert [spec.name for spec in specs if spec.compacted] == [topics.JOURNEYS]
    assert [spec.name for spec in specs if spec.retention_s is None] == [topics.JOURNEYS]


def test_a_bus_or_database_that_is_no_address_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="WAYPOST_BUS"):
        open_bus(load(data=tmp_path, bus="rabbit://host"))
    with pytest.raises(Misconfigured, match="WAYPOST_DATABASE"):
        open_database(load(data=tmp_path, database="mysql://host"), "journey")
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be made"):
        open_bus(load(data=tmp_path / "file" / "below"))


def test_a_replay_says_which_records_it_means() -> None:
    assert selected(["a"], {"code": "c"}, False) == {"ids": ["a"], "code": "c"}
    assert selected(None, {"code": "c"}, False) == {"code": "c"}
    assert selected(None, {}, True) == {"replayed": False}
    with pytest.raises(Misconfigured, match="say which"):
        selected(None, {}, False)
