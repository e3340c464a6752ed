"""One flipped bit, in every page of the database and in every file beside it (P9).

A flip is found when SQLite refuses the file or finds its pages damaged, when `huying fsck` names a
problem, or when the file is refused as it is read. Else it must mean nothing: a bit of free space,
with which the database holds the very same rows. `make bits` flips a bit of every byte.
"""

from __future__ import annotations

import base64
import os
import random
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import HuyingError
from huying.node import config as node_config
from huying.node import keys
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.integrity import fsck
from huying.node.integrity.file_check import check_files
from huying.node.integrity.fsck_report import FsckReport
from huying.node.integrity.known_keys import KnownKeys, known_keys
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support import tiny_network
from tests.support.enrolled import make_node
from tests.support.tiny_network import (
    COUNTY,
    NETWORK,
    TOWN,
    VILLAGE,
    TinyNetwork,
    event,
    put,
    raise_call,
    resident,
    step,
)

PAGE_BYTES = 4096
STEP = int(os.environ.get("HUYING_BITS_STEP", "0"))  # every so many bytes; 0: a sample
PARTS = 16 if STEP else 1  # for as many workers
SAMPLE_SECONDS = 15.0  # beyond one bit of every page
EVENTS = 300
# What nothing else vouches for: times that are shown, and a number that a program drew itself.
UNVOUCHED = {
    "missing": {"since"},
    "quarantine": {"detail", "observed"},
    "quarantine_skips": {"skipped", "actor", "reason"},
    "requests": {"request_id"},
    "statements": {"seq"},
}

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Node:
    """A town's folder at rest, and its database in memory, to flip bits in."""

    config: Config
    image: bytes
    rows: Rows
    known: KnownKeys
    unknown_lines: int


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("bits")
    configs: dict[str, Config] = {}
    above = None
    with pytest.MonkeyPatch.context() as patch:
        for code in (COUNTY, TOWN, VILLAGE):
            made = make_node(
                folder / code, code, network=NETWORK, name=f"name of {code}", parent=above,
                sync_listen=None if code == VILLAGE else "127.0.0.1:1",
            )  # fmt: skip
            configs[code] = node_config.load(made.config.file, {})
            above = made.config.file

        def identity(code: str) -> Any:
            return keys.load_identity(configs[code].keys_dir, NETWORK, code)

        patch.setattr(tiny_network, "identity", identity)
        write(TinyNetwork(lambda code: sqlite_url(configs[code].database_file)))
        config = configs[TOWN]
        with closing(FileReader(sqlite_url(config.database_file))) as reader:
            own = reader.feed(identity(TOWN).origin)
            assert own is not None
            assert own.head is not None
            FileMark(config.mark_file, host_id()).write(own.origin, own.size, own.head.root)
            known = known_keys(config, reader)
        image, rows = at_rest(config.database_file)
        report = FsckReport()
        with opened(image) as store:
            report = fsck.check(store, known.feeds, known.witnesses.values(), TOWN)
            check_files(config, store, report)
        assert report.problems == []
        yield Node(config, image, rows, known, report.signatures_unknown)


def write(network: TinyNetwork) -> None:
    """Something in every table that fills by itself."""
    for start in range(0, EVENTS, 25):
        drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(i)) for i in range(start, start + 25)]
        network.append(VILLAGE, *drafts)
    network.append(VILLAGE, *(put(feed_pb2.RECORD_TYPE_RESIDENT, resident(i)) for i in range(2)))
    call = raise_call(network)
    dispatch = calls_pb2.Dispatch(department="住建局", deadline_micros=99)
    network.append(COUNTY, replace(step(call, dispatch=dispatch), to=(f"={TOWN}", f"={VILLAGE}")))
    request = replace(put(feed_pb2.RECORD_TYPE_EVENT, event(7)), request_id=bytes(range(16)))
    network.append(TOWN, replace(request))
    network.close()


def at_rest(file: Path) -> tuple[bytes, Rows]:
    """The database's bytes, without its log, in a mode that opens in memory; and its rows."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("VACUUM")
        rows = read_rows(connection)
    image = file.read_bytes()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    return image, rows


def read_rows(connection: sqlite3.Connection) -> Rows:
    names = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    rows: Rows = {"sqlite_schema": names}
    for name, sql in names:
        if sql and sql.startswith("CREATE TABLE"):
            rows[name] = connection.execute(f"SELECT * FROM {name}").fetchall()
    return rows


@contextmanager
def opened(image: bytes) -> Iterator[SqlStore]:
    store = SqlStore.open(template=image)
    try:
        yield store
    finally:
        store.close()


def verdict(node: Node, image: bytes) -> str:
    """How a flip in the database shows: by whom it is found, or that it means nothing; or not."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        try:
            connection.deserialize(image)
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                return "pages"
            rows = read_rows(connection)
        except (sqlite3.Error, UnicodeError):
            return "refused"
    if rows == node.rows:
        return "nothing"
    try:
        with opened(image) as store:
            report = fsck.check(store, node.known.feeds, node.known.witnesses.values(), TOWN)
    except HuyingError:
        return "refused"
    if not report.ok:
        return "checks"
    if report.signatures_unknown != node.unknown_lines:
        return "a line that nobody signed"
    return "unvouched" if is_unvouched(node.rows, rows) else "missed"


def is_unvouched(before: Rows, after: Rows) -> bool:
    for name in before:
        if before[name] == after.get(name):
            continue
        columns = UNVOUCHED.get(name, set())
        names = column_names(before, name)
        if not columns or len(before[name]) != len(after[name]):
            return False
        keep = [at for at, column in enumerate(names) if column not in columns]
        for row, other in zip(sorted(before[name]), sorted(after[name]), strict=True):
            if [row[at] for at in keep] != [other[at] for at in keep]:
                return False
    return True


def column_names(rows: Rows, table: str) -> list[str]:
    from huying.node.store.schema import METADATA

    assert any(row[0] == table for row in rows["sqlite_schema"])
    return [column.name for column in METADATA.tables[table].c]


def places(size: int, draw: random.Random, part: int) -> Iterator[int]:
    """Bytes to flip a bit of: one of every page, then more at random; or every STEP-th of all."""
    if STEP:
        yield from range(part * STEP, size, PARTS * STEP)
        return
    pages = list(range(0, size, PAGE_BYTES))
    draw.shuffle(pages)
    yield from (
        page + draw.randrange(12 if at % 4 == 0 else PAGE_BYTES) for at, page in enumerate(pages)
    )
    began = time.monotonic()
    while time.monotonic() < began + SAMPLE_SECONDS:
        yield draw.randrange(size)


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


@pytest.mark.timeout(0 if STEP else 300)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_flipped_bit_in_the_database_is_found_or_means_nothing(town: Node, part: int) -> None:
    """P9. Which bit is drawn anew for each byte; the seed is in the message."""
    seed = int(os.environ.get("HUYING_BITS_SEED", "20261122"))
    draw = random.Random(seed + part)
    counts: dict[str, int] = {}
    missed = []
    for at in places(len(town.image), draw, part):
        bit = draw.randrange(8)
        how = verdict(town, flipped(town.image, at, bit))
        counts[how] = counts.get(how, 0) + 1
        if how == "missed":
            missed.append((at // PAGE_BYTES, at % PAGE_BYTES, bit))
    print(f"seed {seed}, part {part}: {counts}")
    assert missed == [], f"seed {seed}: (page, byte, bit) of {len(missed)}; {counts}"
    assert counts["checks"] > counts.get("unvouched", 0)


def beside(config: Config) -> dict[str, Path]:
    """Every file of the node but the database and what the operator writes."""
    return {
        "mark": config.mark_file,
        **{f"keys/{path.name}": path for path in config.keys_dir.iterdir() if path.is_file()},
        **{f"pins/{path.name}": path for path in config.pins_dir.iterdir()},
    }


@pytest.mark.timeout(0 if STEP else 300)
def test_a_flipped_bit_in_a_file_beside_it_is_found_or_means_nothing(town: Node) -> None:
    """Keys, pins and the mark are read as the node reads them."""
    draw = random.Random(7)
    missed = []
    with opened(town.image) as store:
        for name, path in beside(town.config).items():
            data = path.read_bytes()
            every = range(0, len(data), STEP or max(1, len(data) // 60))
            meaning = meaning_of(name)
            before = meaning(data)
            try:
                for at in every:
                    bit = draw.randrange(8)
                    changed = flipped(data, at, bit)
                    path.write_bytes(changed)
                    report = FsckReport()
                    check_files(town.config, store, report)
                    if report.ok and meaning(changed) != before:
                        missed.append((name, at, bit))
            finally:
                path.write_bytes(data)
    assert missed == []


def meaning_of(name: str) -> Callable[[bytes], object]:
    """What a file says, where a bit may change without anything being said otherwise."""
    if name.endswith("token"):
        return lambda data: None  # whatever stands there is the token, for both its readers
    if name.startswith("pins/"):
        from huying.node import pins

        def pin(data: bytes) -> object:
            # A name and an address are the operator's to change, and nothing vouches for them. Nor
            # for the key that a root is sealed to: what is sealed to another opens nowhere.
            found = pins.parse(data.decode(), name)
            der = found.certificate_sha256
            return der, replace(found, name="", address="", hpke_key="", certificate="")

        return pin
    if name.endswith("tls.crt"):
        return lambda data: ssl.PEM_cert_to_DER_cert(data.decode())
    if name.endswith("tls.key"):
        from cryptography.hazmat.primitives import serialization

        def numbers(data: bytes) -> object:
            key: Any = serialization.load_pem_private_key(data, password=None)
            return key.private_numbers()

        return numbers
    if name.endswith("hpke.key"):
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        def public(data: bytes) -> object:
            # X25519 passes over five bits of a private key (RFC 7748, section 5).
            key = X25519PrivateKey.from_private_bytes(base64.b64decode(data.strip()))
            return key.public_key().public_bytes_raw()

        return public
    return bytes.strip
