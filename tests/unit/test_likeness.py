"""Which spellings are taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.journey.domain.likeness import bare, spellings, tagged


def test_an_address_is_tried_with_other_dots_and_without_its_tag() -> None:
    assert spellings("email:ab.c+shop@x.example") == [
        "email:abc@x.example",
        "email:a.bc@x.example",
        "email:ab.c@x.example",
        "email:a.b.c@x.example",
    ]
    assert "email:abc@googlemail.com" in spellings("email:a.bc@gmail.com")
    assert tagged("email:ab@x.example") == ["email:ab+", "email:a.b+"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("email:a.bc@x.example", "email:abc+shop@x.example", True),
        ("email:abc@gmail.com", "email:a.b.c@googlemail.com", True),
        ("email:abc@x.example", "email:abc@y.example", False),
        ("email:abc@x.example", "email:abd@x.example", False),
    ],
)
def test_what_is_left_of_two_addresses_tells_if_they_are_the_same(one: str, other: str, same: bool) -> None:
    assert (bare(one) == bare(other)) is same


def test_a_number_is_tried_as_it_is_written_at_home() -> None:
    assert spellings("phone:+491711234567") == ["phone:491711234567", "phone:0171 1234567", "phone:01711234567"]
    assert spellings("phone:0171 1234567") == ["phone:01711234567"]


@pytest.mark.parametrize("identity", ["customer_id:c-1", "email:nobody", "email:@x.example", "order:shop/1", "email:+@x"])
def test_other_identities_have_one_spelling(identity: str) -> None:
    assert (spellings(identity), tagged(identity)) == ([], [])


@given(st.from_regex(r"[a-z.+]{1,64}@[a-z]{1,9}\.example", fullmatch=True))
def test_the_number_of_tries_is_bounded_and_all_are_the_same(address: str) -> None:
    identity = f"email:{address}"
    found = spellings(identity)
    assert len(found) <= 150
    assert len(tagged(identity)) <= 64
    assert {bare(one) for one in found} <= {bare(identity)}
    assert identity not in found
