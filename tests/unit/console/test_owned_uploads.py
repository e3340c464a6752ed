"""One file that several people handed in: each of them owns it, and it goes with the last."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from PIL import Image
from sqlalchemy import select

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.media import Prepared
from huying.node.web import schema
from huying.node.web import store as store_module
from huying.node.web.store import FILE_NAME, ConsoleStore
from huying.node.web.uploads import Uploads

START = 1_795_000_000.0
CALL = bytes(16)


class Console:
    """A store, the uploads over it, and what was written into the trail."""

    def __init__(self, folder: Path) -> None:
        self.store = ConsoleStore.open(folder)
        self.uploads = Uploads(self.store)
        self.files = folder / "files"
        self.trail: list[tuple[str, ...]] = []

    def take(self, who: str, data: bytes, now: float = START, **more: Any) -> Prepared:
        async def note(*cells: str, **others: str) -> None:
            self.trail.append((who, *cells, *others.values()))

        ask: Any = SimpleNamespace(person=SimpleNamespace(id=who), now=lambda: now, audit=note)
        file: Any = SimpleNamespace(file=io.BytesIO(data), filename="a.jpg")
        return anyio.run(lambda: Uploads(self.store).take(ask, file, **more))

    def tidy(self, now: float, *, stands: bool | None = None) -> int:
        return self.uploads.tidy(now, lambda _digest, _subject: stands)

    def names(self) -> set[str]:
        return {one.name for one in self.files.iterdir() if one.is_file()}


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    made = Console(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def photo() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(made, "JPEG")
    return made.getvalue()


def test_the_first_owners_file_stays_when_another_hands_in_the_same(
    console: Console, photo: bytes
) -> None:
    """A kept draft that names it would otherwise lose it, and for what somebody else did."""
    digest = console.take("li", photo).sha256_preview
    before = console.names()
    console.take("wang", photo)
    assert console.names() == before, "the bytes are there once"
    paths = [console.uploads.preview(digest, who) for who in ("li", "wang")]
    assert paths[0] is not None
    assert paths[0] == paths[1]
    assert console.uploads.preview(digest, "zhao") is None
    # Nothing tells the second that there was a first.
    assert [row[1:] for row in console.trail] == [console.trail[0][1:]] * 2


@pytest.mark.parametrize("later", ["li", "wang"])
def test_a_file_goes_with_its_last_owner_whoever_that_is(
    console: Console, photo: bytes, later: str
) -> None:
    """Two days count for each of them by themselves."""
    first = {"li": "wang", "wang": "li"}[later]
    day, kept = 86_400.0, limits.UPLOAD_KEPT_SECONDS
    digest = console.take(first, photo).sha256_preview
    console.take(later, photo, START + day)
    assert console.tidy(START + kept + 1) == 0
    assert console.uploads.preview(digest, first) is None
    assert console.uploads.preview(digest, later) is not None
    assert console.uploads.picture(digest) is not None
    assert console.tidy(START + kept + day + 1) == 1
    assert console.names() == set()


def test_an_erasure_takes_it_from_every_owner(console: Console, photo: bytes) -> None:
    """What the law wants gone is gone, whoever else had the same."""
    for who in ("li", "wang"):
        console.take(who, photo, keep_metadata=True, subject=CALL)
    assert console.tidy(START, stands=False) == 1
    assert console.names() == set()


def test_two_who_keep_the_original_keep_it_apart(console: Console, photo: bytes) -> None:
    """One who handed it in without the box takes nobody's original away."""
    other = b"\x01" * 16
    digest = console.take("li", photo, keep_metadata=True, subject=CALL).sha256_preview
    console.take("wang", photo, keep_metadata=True, subject=other)
    console.take("zhao", photo, subject=other)
    originals = console.uploads.originals
    assert originals.find(digest, CALL) == originals.find(digest, other)
    console.uploads.tidy(START, lambda _digest, subject: subject != CALL)
    assert originals.find(digest, CALL) is None
    kept = originals.find(digest, other)
    assert kept is not None
    assert kept.read_bytes() == photo
    assert originals.among([(digest, CALL), (digest, other)]) == {(digest, other)}


def test_what_is_kept_with_a_call_is_found_by_nobody_before_it_is_raised(
    console: Console, photo: bytes
) -> None:
    """It is evidence of nothing yet; and one person's form takes nothing of another's."""
    digest = console.take("li", photo, keep_metadata=True).sha256_preview
    originals = console.uploads.originals
    assert originals.find(digest, b"") is None
    originals.bind("wang", [digest], b"\x02" * 16)
    assert originals.find(digest, b"\x02" * 16) is None
    for _ in range(2):  # the same request again
        originals.bind("li", [digest], CALL)
    assert originals.find(digest, CALL) is not None
    redone = b"\x03" * 16  # the principal sent the draft back, and another one took its place
    originals.bind("li", [digest], redone, CALL)
    assert originals.find(digest, redone) is not None
    assert originals.find(digest, CALL) is None


def test_an_original_of_a_form_that_never_came_goes_though_the_photo_is_evidence(
    console: Console, photo: bytes
) -> None:
    """Somebody else's evidence must not keep the place that this person meant to send."""
    console.take("li", photo, keep_metadata=True)
    console.take("wang", photo)
    console.tidy(START + limits.UPLOAD_KEPT_SECONDS + 1, stands=True)
    assert all(path.read_bytes() != photo for path in console.files.iterdir() if path.is_file())
    assert console.names() != set()


def test_a_file_that_goes_while_it_is_handed_in_again_is_asked_for_anew(
    console: Console, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last owner's went between the reading and the note: a name without bytes helps nobody."""
    console.take("li", photo)
    note = Uploads._note

    def late(self: Uploads, *rest: Any) -> None:
        assert console.tidy(START + limits.UPLOAD_KEPT_SECONDS + 1) == 1
        note(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Uploads, "_note", late)
        with pytest.raises(HuyingError) as caught:
            console.take("wang", photo)
    assert caught.value.code is Code.BUSY
    digest = console.take("wang", photo).sha256_preview
    assert console.uploads.preview(digest, "wang") is not None


def test_files_of_before_keep_their_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of the program takes nobody's picture away."""
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "VERSIONS", schema.VERSIONS[:2])
        patch.setattr(store_module, "METADATA", SimpleNamespace(tables={}))
        ConsoleStore.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("INSERT INTO uploads VALUES ('aa', 'bb', '', 'image/jpeg', 'li', 5.0)")
    connection.close()
    store = ConsoleStore.open(tmp_path)
    with store.reading() as opened:
        rows = opened.execute(select(schema.UPLOADS)).all()
        assert rows == [("aa", "li", "bb", 5.0)]
        assert opened.execute(select(schema.ORIGINALS)).all() == []
    store.close()
