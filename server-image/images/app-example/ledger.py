"""The ledger: amounts with a note, kept in SQLite at the path that LEDGER_DATABASE names."""

import dataclasses
import os
import sqlite3

SCHEMA = """CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY, cents INTEGER NOT NULL, note TEXT NOT NULL, at TEXT NOT NULL DEFAULT (datetime('now')))"""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One booking."""

    id: int
    cents: int
    note: str
    at: str


class Ledger:
    """A book of entries."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False)
        with self._database:
            self._database.execute(SCHEMA)

    def book(self, cents: int, note: str) -> Entry:
        """Adds an entry and returns it as stored."""
        with self._database:
            number = self._database.execute("INSERT INTO entry (cents, note) VALUES (?, ?)", (cents, note)).lastrowid
        return self.entries(number)[0]

    def entries(self, number: int | None = None) -> list[Entry]:
        """All entries, oldest first, or the one with this number."""
        rows = self._database.execute(
            "SELECT id, cents, note, at FROM entry WHERE ?1 IS NULL OR id = ?1 ORDER BY id", (number,)
        )
        return [Entry(*row) for row in rows]

    def balance(self) -> int:
        """The sum of all entries, in cents."""
        return self._database.execute("SELECT coalesce(sum(cents), 0) FROM entry").fetchone()[0]


def from_environment() -> Ledger:
    """The ledger of this deployment."""
    return Ledger(os.environ["LEDGER_DATABASE"])
