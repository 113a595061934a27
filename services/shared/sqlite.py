"""What the files of rooms and that of the embedded bus have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def keep_a_log(execute: Callable[[str], object]) -> None:
    """Give the file of a connection, which is in no transaction, SQLite's write-ahead log.

    Of several processes that open a new file at once one makes it. SQLite does not let the others wait for that as it does for other locks,
    so they wait for a transaction, and look again. Raises what SQLite raises, `database is locked` once its time-out is over.
    """
    while True:
        try:
            execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        execute("BEGIN EXCLUSIVE")
        execute("ROLLBACK")
