"""Consumer groups of the embedded bus: who is a member and who holds what, kept in the bus's own file for all processes."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence

from services.shared.bus.embedded.storage import transaction, translated
from services.shared.bus.sharing import TopicPartition, share_out
from services.shared.clock import Clock


class Membership:
    """One consumer's membership of a group.

    Members tell the file that they live each time that they poll, five times within the session time-out; whoever notices
    that another has been silent for longer takes it out and shares its partitions out anew. A member that comes back after
    having been taken out joins again. Each change of who holds what is a new generation, which is how the others notice.
    """

    def __init__(
        self, connection: sqlite3.Connection, group: str, topics: Sequence[str], session_timeout_s: float, clock: Clock
    ) -> None:
        self._connection = connection
        self._group = group
        self._topics = json.dumps(sorted(set(topics)))
        self._timeout_ms = int(session_timeout_s * 1000)
        self._clock = clock
        self._member = uuid.uuid4().hex
        self._generation = 0
        self._due_ms = 0
        self._held: frozenset[TopicPartition] = frozenset()

    @property
    def heartbeat_s(self) -> float:
        """How often `refresh` should be called."""
        return self._timeout_ms / 5000

    def refresh(self) -> frozenset[TopicPartition]:
        """What this member holds now; says that it lives, when that is due. Raises `Unavailable`."""
        now_ms = self._clock() // 1000
        if now_ms >= self._due_ms or now_ms < self._due_ms - self._timeout_ms:  # the second: the clock was set back
            self._heartbeat(now_ms)
            self._due_ms = now_ms + self._timeout_ms // 5
        with translated("look after the group"):
            row = self._connection.execute("SELECT generation FROM generations WHERE group_name = ?", (self._group,)).fetchone()
            if row[0] != self._generation:
                mine = "SELECT topic, partition FROM shares WHERE group_name = ? AND member = ?"
                self._held = frozenset(self._connection.execute(mine, (self._group, self._member)))
                self._generation = row[0]
        return self._held

    def report(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note how far the group has come. Raises `Unavailable`."""
        rows = [(self._group, *where, offset) for where, offset in positions.items()]
        with transaction(self._connection, "note positions"):
            self._connection.executemany("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", rows)

    def leave(self) -> None:
        """Give up what this member holds, at once."""
        with transaction(self._connection, "leave the group"):
            gone = "DELETE FROM members WHERE group_name = ? AND member = ?"
            if self._connection.execute(gone, (self._group, self._member)).rowcount:
                self._share_out()

    def _heartbeat(self, now_ms: int) -> None:
        with transaction(self._connection, "look after the group"):
            silent = "DELETE FROM members WHERE group_name = ? AND member <> ? AND abs(? - seen_ms) > ?"
            expired = self._connection.execute(silent, (self._group, self._member, now_ms, self._timeout_ms)).rowcount
            seen = "UPDATE members SET seen_ms = ? WHERE group_name = ? AND member = ?"
            known = self._connection.execute(seen, (now_ms, self._group, self._member)).rowcount
            if not known:
                row = (self._group, self._member, self._topics, now_ms)
                self._connection.execute("INSERT INTO members VALUES (?, ?, ?, ?)", row)
            if expired or not known:
                self._share_out()

    def _share_out(self) -> None:
        """Within a transaction: share the partitions out among the members that are left, as a new generation."""
        execute = self._connection.execute
        members = execute("SELECT member, topics FROM members WHERE group_name = ?", (self._group,))
        subscriptions = {member: json.loads(topics) for member, topics in members}
        partitions = dict(execute("SELECT name, partitions FROM topics"))
        rows = execute("SELECT topic, partition, member FROM shares WHERE group_name = ?", (self._group,))
        held = {(topic, partition): member for topic, partition, member in rows}
        shares = share_out(subscriptions, partitions, held)
        execute("DELETE FROM shares WHERE group_name = ?", (self._group,))
        self._connection.executemany(
            "INSERT INTO shares VALUES (?, ?, ?, ?)",
            [(self._group, topic, partition, member) for (topic, partition), member in shares.items()],
        )
        generation = "INSERT INTO generations VALUES (?, 1) ON CONFLICT DO UPDATE SET generation = generation + 1"
        execute(generation, (self._group,))
