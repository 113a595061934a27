"""How the members of a group share out partitions, for any members, topics and history."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from services.shared.bus.kafka.assignor import CopartitionedAssignor
from services.shared.bus.sharing import TopicPartition, share_out

members = st.sets(st.sampled_from("abcdefgh"), min_size=1)
counts = st.integers(1, 12)


def all_of(topics: tuple[str, ...], count: int) -> set[TopicPartition]:
    return {(topic, number) for topic in topics for number in range(count)}


@given(st.lists(members, min_size=1, max_size=6), counts)
def test_numbers_stay_whole_and_even_and_move_only_when_they_must(history: list[set[str]], count: int) -> None:
    topics = ("commands", "touchpoints")
    held: dict[TopicPartition, str] = {}
    for present in history:
        shares = share_out(dict.fromkeys(present, topics), dict.fromkeys(topics, count), held)
        assert shares.keys() == all_of(topics, count)
        assert all(shares["commands", number] == shares["touchpoints", number] for number in range(count))
        loads = Counter(shares["commands", number] for number in range(count))
        numbers = [loads[member] for member in present]
        assert max(numbers) - min(numbers) <= 1
        before = Counter(held.get(("commands", number)) for number in range(count))
        moved = sum(held.get(("commands", number)) != shares["commands", number] for number in range(count))
        fair = -(-count // len(present))
        must = sum(load if member not in present else max(0, load - fair) for member, load in before.items())
        gains = sum(max(0, count // len(present) - before[member]) for member in present)
        assert moved <= max(must, gains)
        held = shares


@given(members, counts, counts)
def test_topics_of_different_sizes_are_shared_out_too(present: set[str], few: int, many: int) -> None:
    shares = share_out({member: {"x", "y"} for member in present}, {"x": few, "y": many}, {})
    assert shares.keys() == all_of(("x",), few) | all_of(("y",), many)
    assert all(shares["x", number] == shares["y", number] for number in range(min(few, many)))


def test_a_topic_goes_only_to_those_who_read_it() -> None:
    shares = share_out({"old": {"x"}, "new": {"x", "y"}}, {"x": 2, "y": 2, "unread": 2}, {})
    assert {shares["y", 0], shares["y", 1]} == {"new"}
    assert {shares["x", 0], shares["x", 1]} == {"old", "new"}
    assert ("unread", 0) not in shares


class Cluster:
    """What an assignor asks of kafka-python's metadata: two topics of four partitions."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(4))

    def topics(self) -> set[str]:
        return {"x", "y"}


class Member:
    """What the coordinator hands to an assignor for each member."""

    def __init__(self, member_id: str, metadata: ConsumerProtocolSubscription) -> None:
        self.member_id = member_id
        self.metadata = metadata


def owners(assignments: dict[str, ConsumerProtocolAssignment]) -> dict[TopicPartition, str]:
    return {
        (given.topic, given.partition): member for member, assignment in assignments.items() for given in assignment.partitions()
    }


def test_the_cooperative_sticky_assignor_splits_numbers_which_is_why_there_is_our_own() -> None:
    theirs = [Member(who, CooperativeStickyAssignor().metadata({"x", "y"})) for who in "abc"]
    owner = owners(CooperativeStickyAssignor().assign(Cluster(), theirs))
    assert any(owner["x", number] != owner["y", number] for number in range(4))
    ours = [Member(who, CopartitionedAssignor().metadata({"x", "y"})) for who in "abc"]
    owner = owners(CopartitionedAssignor().assign(Cluster(), ours))
    assert len(owner) == 8
    assert all(owner["x", number] == owner["y", number] for number in range(4))


def test_what_moves_is_first_taken_from_its_holder_and_given_in_the_next_round() -> None:
    assignors = {who: CopartitionedAssignor() for who in "ab"}
    everything = [("x", [0, 1, 2, 3]), ("y", [0, 1, 2, 3])]
    assignors["a"].on_assignment(ConsumerProtocolAssignment(0, everything, b""), 1)

    def round_of(generation: int) -> dict[TopicPartition, str]:
        group = [Member(who, assignor.metadata({"x", "y"})) for who, assignor in assignors.items()]
        assignments = assignors["a"].assign(Cluster(), group)
        for who, assignor in assignors.items():
            assignor.on_assignment(assignments[who], generation)
        return owners(assignments)

    first, second = round_of(2), round_of(3)
    assert set(first.values()) == {"a"}
    assert len(first) == 4
    assert Counter(second.values()) == {"a": 4, "b": 4}
    assert first.items() <= second.items()
    assert round_of(4) == second


def test_of_two_that_claim_a_partition_the_later_generation_has_it() -> None:
    stale, current = CopartitionedAssignor(), CopartitionedAssignor()
    stale.on_assignment(ConsumerProtocolAssignment(0, [("x", [0, 1, 2, 3])], b""), 5)
    current.on_assignment(ConsumerProtocolAssignment(0, [("x", [0, 1])], b""), 6)
    group = [Member("stale", stale.metadata({"x"})), Member("current", current.metadata({"x"}))]
    assert owners(current.assign(Cluster(), group)) == {
        ("x", 0): "current",
        ("x", 1): "current",
        ("x", 2): "stale",
        ("x", 3): "stale",
    }
    stale.forget()
    group[0] = Member("stale", stale.metadata({"x"}))
    assert owners(current.assign(Cluster(), group)) == {
        ("x", 0): "current",
        ("x", 1): "current",
        ("x", 2): "stale",
        ("x", 3): "stale",
    }
