"""The SQLite store: the contract, on a file and in memory, and what is SQLite's alone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.ports import Store
from huying.common.state import StoredEntry
from huying.node.store import database
from huying.node.store.database import sqlite_url
from huying.node.store.schema import METADATA, SCHEMA_REVISION
from huying.node.store.store import SqlStore
from tests.contracts.store_contract import ORIGIN, StoreContract, entry


class TestSqliteFile(StoreContract):
    @contextmanager
    def make_store(self) -> Iterator[Store]:
        with tempfile.TemporaryDirectory() as folder:
            store = SqlStore.open(sqlite_url(Path(folder) / "node.db"))
            yield store
            store.close()


class TestSqliteMemory(StoreContract):
    @contextmanager
    def make_store(self) -> Iterator[Store]:
        store = SqlStore.open()
        yield store
        store.close()
