"""Durable state in SQLite; the one door to sqlite3."""

from teagent.adapters.store.sqlite import SqliteStore

__all__ = ["SqliteStore"]
