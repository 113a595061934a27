"""Which member of a consumer group holds which partitions: one rule for every bus.

Kafka's own assignors balance partitions, not partition numbers: of two topics with four partitions each, number 2 of one
may go to another member than number 2 of the other. Waypost needs them together (docs/decisions/0003), so both buses use this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

TopicPartition = tuple[str, int]


def share_out(
    subscriptions: Mapping[str, Collection[str]],
    partitions: Mapping[str, int],
    held: Mapping[TopicPartition, str],
) -> dict[TopicPartition, str]:
    """The member of each partition, from the members' topics, the topics' partition counts and who holds what now.

    All partitions of one number go to one member, among topics with the same subscribers; the numbers held by two members
    differ by one at most; nothing moves that need not. Pure and deterministic, so any member may work it out.
    """
    owners: dict[TopicPartition, str] = {}
    total = dict.fromkeys(subscriptions, 0)
    for members, topics in _by_subscribers(subscriptions, partitions).items():
        owner_of = _keep(topics, partitions, held, members)
        _balance(owner_of, members, total)
        for number, member in owner_of.items():
            total[member] += 1
            owners.update({(topic, number): member for topic in topics if number < partitions[topic]})
    return owners


def _by_subscribers(
    subscriptions: Mapping[str, Collection[str]], partitions: Mapping[str, int]
) -> dict[tuple[str, ...], list[str]]:
    """Topics that the same members read, under those members; topics that nobody reads are left out."""
    classes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for topic in sorted(partitions):
        members = tuple(sorted(member for member, topics in subscriptions.items() if topic in topics))
        if members:
            classes[members].append(topic)
    return classes


def _keep(
    topics: Collection[str], partitions: Mapping[str, int], held: Mapping[TopicPartition, str], members: Collection[str]
) -> dict[int, str]:
    """Per partition number, the member that holds it now, or "" for nobody."""
    owner_of: dict[int, str] = {}
    for number in range(max(partitions[topic] for topic in topics)):
        holders = (held.get((topic, number), "") for topic in topics)
        owner_of[number] = next((holder for holder in holders if holder in members), "")
    return owner_of


def _balance(owner_of: dict[int, str], members: Collection[str], total: Mapping[str, int]) -> None:
    """Give the numbers of nobody to the least loaded, then move single ones from the most to the least loaded."""
    numbers: dict[str, list[int]] = {member: [] for member in members}
    for number, member in owner_of.items():
        if member:
            numbers[member].append(number)

    def load(member: str) -> tuple[int, int, str]:
        return len(numbers[member]), total[member], member

    for number in [number for number, member in owner_of.items() if not member]:
        numbers[min(members, key=load)].append(number)
    while len(numbers[busiest := max(members, key=load)]) - len(numbers[idlest := min(members, key=load)]) > 1:
        numbers[idlest].append(numbers[busiest].pop())
    owner_of.update({number: member for member, held in numbers.items() for number in held})
