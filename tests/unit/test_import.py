"""Files become touchpoints: the map language, ids, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.importing import lines, maps
from services.cli.importing.reading import Ids, Ready, Refused, touchpoints
from services.shared.errors import Misconfigured

EXAMPLES = Path(__file__).parents[2] / "examples"
MAP = """
[constants]
channel = "web"
[fields]
"identities.customer_id" = "who"
occurred_at = { column = "when", format = "%Y-%m-%d %H:%M", time_zone = "Europe/Berlin" }
"order.amount" = { column = "total", decimals = 2 }
[types]
column = "what"
[types.values]
view = "product_viewed"
buy = { type = "order_completed", constants = { channel = "store" }, fields = { "order.order_id" = { row_id = true, prefix = "o-" } } }
"""


def read(tmp_path: Path, content: str | bytes, map_text: str | None = None) -> list[Ready | Refused]:
    path = tmp_path / "input"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = None
    if map_text is not None:
        (tmp_path / "map.toml").write_text(map_text)
        found = maps.load(tmp_path / "map.toml")
    with lines.opened(path) as source:
        return list(touchpoints(source, found))


def bodies(found: list[Ready | Refused]) -> list[dict[str, Any]]:
    assert all(isinstance(one, Ready) for one in found), found
    return [msgspec.json.decode(one.body) for one in found if isinstance(one, Ready)]


def test_columns_become_fields_and_values_become_types(tmp_path: Path) -> None:
    view, buy, other = bodies(
        read(
            tmp_path,
            "who,when,what,total\nann,2026-01-15 12:00,view,\nbob,2026-07-15 12:00,buy,19.9\ncy,2026-07-15 00:00,waved,\n",
            MAP,
        )
    )
    assert view.pop("id")
    assert view == {
        "type": "product_viewed",
        "channel": "web",
        "identities": {"customer_id": "ann"},
        "occurred_at": "2026-01-15T11:00:00Z",
    }
    assert (buy["type"], buy["channel"], buy["occurred_at"]) == ("order_completed", "store", "2026-07-15T10:00:00Z")
    assert buy["order"] == {"amount": "19.90", "order_id": "o-" + buy["id"]}
    assert other["type"] == "waved"


def test_a_field_may_hang_on_another_column(tmp_path: Path) -> None:
    given = '[constants]\ntype = "t"\n[fields]\n"order.order_id" = { column = "id", when = "total" }\n'
    given += '"order.currency" = { constant = "EUR", when = "total" }\n'
    with_one, without = bodies(read(tmp_path, "id,total\n1,9\n2,\n", given))
    assert with_one["order"] == {"order_id": "1", "currency": "EUR"}
    assert "order" not in without


def test_a_gzip_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    text = b"who,when,what,total\nann,2026-01-15 12:00,view,\n"
    assert read(tmp_path, gzip.compress(text), MAP) == read(tmp_path, text, MAP)


def test_blanks_separate_cells_and_a_map_may_name_the_columns(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        " 00001 19970101  1   11.77\r\n\r\n 00002 19970112  5   77.00\r\n",
        'delimiter = "whitespace"\ncolumns = ["who", "day", "n", "dollars"]\n[constants]\ntype = "order_completed"\n[fields]\n'
        '"identities.customer_id" = "who"\noccurred_at = { column = "day", format = "%Y%m%d", time_zone = "America/New_York" }\n',
    )
    assert [one.line for one in found] == [1, 3]
    assert [body["occurred_at"] for body in bodies(found)] == ["1997-01-01T05:00:00Z", "1997-01-12T05:00:00Z"]


def test_equal_rows_are_kept_apart_and_a_second_reading_gives_the_same_ids(tmp_path: Path) -> None:
    text = "who,when,what,total\n" + 3 * "ann,2026-01-15 12:00,view,\n" + "bob,2026-01-15 12:00,view,\n"
    ids = [body["id"] for body in bodies(read(tmp_path, text, MAP))]
    assert len(set(ids)) == 4
    assert [body["id"] for body in bodies(read(tmp_path, text, MAP))] == ids


def test_a_column_can_be_the_id(tmp_path: Path) -> None:
    (found,) = bodies(read(tmp_path, "n,what\n17,view\n", 'id = "n"\n[fields]\ntype = "what"\n'))
    assert found == {"id": "17", "type": "view"}


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("ann,yesterday,view,", "invalid_time", "column when: 'yesterday'"),
        ("ann,2026-01-15 12:00,buy,much", "invalid_number", "column total: 'much'"),
        ("ann,2026-01-15 12:00,buy,1.999", "invalid_number", "more than 2 decimals"),
        ("ann,2026-01-15 12:00", "invalid_row", "2 cells where 4"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_spoils_no_other(tmp_path: Path, row: str, code: str, said: str) -> None:
    good = "bob,2026-01-15 12:00,view,"
    _, refused, _ = read(tmp_path, f"who,when,what,total\n{good}\n{row}\n{good}\n", MAP)
    assert isinstance(refused, Refused)
    assert (refused.line, refused.code) == (3, code)
    assert said in refused.message


def test_json_lines_keep_their_bytes_and_get_an_id_if_they_have_none(tmp_path: Path) -> None:
    named, unnamed, again, bad = read(tmp_path, '{"id":"a","type":"t"}\n{"type": "t"}\n\n{"type": "t"}\n{"type": NaN}\n')
    assert named == Ready(1, b'{"id":"a","type":"t"}')
    assert isinstance(unnamed, Ready)
    assert isinstance(again, Ready)
    assert unnamed.body.endswith(b'"type": "t"}')
    assert (unnamed.line, again.line) == (2, 4)
    assert msgspec.json.decode(unnamed.body)["id"] != msgspec.json.decode(again.body)["id"]
    assert isinstance(bad, Refused)
    assert bad.code == "invalid_json"


def test_an_id_inside_the_properties_or_null_is_not_the_touchpoints_id(tmp_path: Path) -> None:
    text = '{"type":"t","properties":{"id":"p"}}\n{"id":null,"type":"t"}\n'
    ids = [body["id"] for body in bodies(read(tmp_path, text))]
    assert len(set(ids)) == 2
    assert [body["id"] for body in bodies(read(tmp_path, text))] == ids


def test_a_touchpoint_that_is_too_large_is_refused_here(tmp_path: Path) -> None:
    (refused,) = read(tmp_path, '{"type":"' + 40_000 * "x" + '"}\n')
    assert isinstance(refused, Refused)
    assert refused.code == "touchpoint_too_large"


def test_ids_tell_rows_and_occurrences_apart() -> None:
    ids = Ids()
    assert len({ids.of(row) for row in (b"a", b"a", b"b", b"b")}) == 4


def test_a_damaged_gzip_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="damaged gzip file"):
        read(tmp_path, gzip.compress(b'{"type":"t"}\n' * 1000)[:-20])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere cannot be read"), lines.opened(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[fields", "Expected"),
        ("[field]\na = 1\n", "unknown field `field`"),
        ('[fields]\n"identities.customer_id" = "who"\n', "nothing gives the type"),
        ('[constants]\ntype = "t"\ncolour = "red"\n', "no field 'colour'"),
        ('[constants]\ntype = "t"\n[fields]\noccurred_at = { column = "a", time_zone = "Mars/Olympus" }\n', "no time zone 'Mars"),
        ('[constants]\ntype = "t"\n[fields]\nchannel = { prefix = "a" }\n', "either a column or row_id"),
        ('delimiter = "--"\n[constants]\ntype = "t"\n', "delimiter is one character"),
        ('encoding = "klingon"\n[constants]\ntype = "t"\n', "no encoding 'klingon'"),
    ],
)
def test_a_map_that_is_not_right_is_answered_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        read(tmp_path, "", text)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"has no column total, what"):
        read(tmp_path, "who,when\n", MAP)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_a_map(path: Path) -> None:
    assert maps.load(path).columns_used()


def test_a_row_may_be_several_touchpoints(tmp_path: Path) -> None:
    found = bodies(
        read(
            tmp_path,
            "no,opened,resolved,moves\n7,2026-01-01,2026-01-02,2\n8,2026-01-03,?,0\n",
            """
            empty = ["", "?"]
            id = "no"
            [constants]
            "case.action" = "opened"
            [fields]
            "case.case_id" = "no"
            occurred_at = { column = "opened", time_zone = "UTC" }
            [[touchpoints]]
            type = "case_opened"
            [[touchpoints]]
            type = "case_transferred"
            unless = { moves = "0" }
            constants = { "case.action" = "transferred" }
            [[touchpoints]]
            type = "case_resolved"
            needs = ["resolved"]
            constants = { "case.action" = "resolved" }
            fields = { occurred_at = { column = "resolved", time_zone = "UTC" } }
            """,
        )
    )
    assert [(one["id"], one["case"]["action"], one["occurred_at"][:10]) for one in found] == [
        ("7/1", "opened", "2026-01-01"),
        ("7/2", "transferred", "2026-01-01"),
        ("7/3", "resolved", "2026-01-02"),
        ("8/1", "opened", "2026-01-03"),
    ]


def test_types_and_touchpoints_exclude_each_other(tmp_path: Path) -> None:
    both = '[[touchpoints]]\ntype = "a"\n[types]\ncolumn = "what"\n'
    with pytest.raises(Misconfigured, match="not both"):
        read(tmp_path, "what\nx\n", both)
