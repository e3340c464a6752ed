"""Files that people hand in at the console: taken within limits, made anew, found again, removed.

    prepared = await ask.site.uploads.take(ask, file)
    drafts = upload_drafts(event, EVENT, prepared, actor=ask.person.actor)

A file passes through `files/incoming` and is gone when `take` returns; what stays in `files` is
named by digests, and belongs to evidence. Who hands in what somebody else did owns the same file,
and nobody is told so: it goes with its last owner. What no evidence names any more is removed
(`tidy`), so that an erasure reaches the pictures that were kept beside the feed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from sqlalchemy import Connection, delete, select
from starlette.datastructures import UploadFile

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.media import MediaError, Prepared, evidence_drafts, prepare
from huying.node.web.originals import Originals
from huying.node.web.schema import ORIGINALS, UPLOADS
from huying.node.web.store import ConsoleStore
from huying.wire.v1 import api_pb2

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["Uploads", "upload_drafts"]

_PIECE_BYTES: Final = 1 << 18
_SUFFIXES: Final = ("jpg", "png", "webp", "pdf")
_ORIGINAL: Final = ("preview", "subject", "account", "at_seconds")
_INCOMING_SECONDS_MAX: Final = 3600.0  # what lies there longer, a killed process left behind
_TOO_LARGE: Final = (
    f"文件超过 {limits.PHOTO_BYTES_MAX >> 20} MiB,请换小一些的照片"
    f" · over {limits.PHOTO_BYTES_MAX >> 20} MiB: choose a smaller photo"
)


class Uploads:
    """The files of one console, for its event loop."""

    def __init__(self, console: ConsoleStore) -> None:
        self._console = console
        self.originals: Final = Originals(console)
        self._folder: Final = console.folder / "files"
        self._incoming: Final = self._folder / "incoming"
        self._turns: anyio.Semaphore | None = None  # made in the loop that waits for it

    async def take(
        self,
        ask: Ask,
        file: UploadFile,
        *,
        stays_home: bool = False,
        keep_metadata: bool = False,
        subject: bytes = b"",
    ) -> Prepared:
        """Take one file of a form, and write who handed it in to the audit trail.

        `stays_home`: its bytes will stay in this node, so its preview is made to fit one part;
        `keep_metadata`: keep the file itself, too, with the place and the camera in it, for the
        event or call `subject`, which may be named later (`originals.bind`). Raises MediaError;
        HuyingError: DISK_FULL, BUSY where too many wait, or as the store.
        """
        bytes_max = limits.EVIDENCE_HOME_BYTES_MAX if stays_home else limits.EVIDENCE_BYTES_MAX
        name = file.filename or ""

        def work() -> Prepared:
            with self._received(file.file) as path:
                return prepare(
                    path,
                    self._folder,
                    keep_metadata=keep_metadata,
                    bytes_max=bytes_max,
                    name=name,
                )

        async with self._turn():
            prepared = await anyio.to_thread.run_sync(work)
        account, now = ask.person.id, ask.now()
        await anyio.to_thread.run_sync(lambda: self._note(prepared, account, now, subject))
        await ask.audit(
            "upload",
            prepared.sha256_preview.hex(),
            detail="metadata kept" if prepared.original_path is not None else "",
        )
        return prepared

    def picture(self, preview: bytes) -> Path | None:
        """The picture that is kept here of that preview. Blocks. Raises as the store."""
        query = select(UPLOADS.c.picture).where(UPLOADS.c.preview == preview.hex())
        with self._console.reading() as connection:
            digest = connection.execute(query).scalar()
        return None if digest is None else self._path(digest)

    def preview(self, digest: bytes, account: str = "") -> Path | None:
        """The preview of that digest that was handed in here, by `account` where one is given.

        Blocks. Raises as the store.
        """
        query = select(UPLOADS.c.preview).where(UPLOADS.c.preview == digest.hex())
        if account:
            query = query.where(UPLOADS.c.account == account)
        with self._console.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._path(row.preview)

    def tidy(self, now: float, stands: Callable[[bytes, bytes], bool | None]) -> int:
        """Remove what is evidence of nothing; how many pictures. Blocks. Raises as the store.

        `stands` says of a preview's digest, and of a record that it is evidence of (empty: of any),
        whether an entry holds it; None where there never was one: that picture is kept for
        UPLOAD_KEPT_SECONDS from when its owner handed it in, since a form may still come.
        """

        def is_over(row: Any, held: bool | None) -> bool:
            waits = held is None and now - row.at_seconds < limits.UPLOAD_KEPT_SECONDS
            return not held and not waits

        with self._console.reading() as connection:
            owned = connection.execute(select(UPLOADS)).fetchall()
            kept = connection.execute(select(ORIGINALS)).fetchall()
        digest = bytes.fromhex
        gone = [row for row in owned if is_over(row, stands(digest(row.preview), b""))]
        files = [
            row
            for row in kept
            # What is kept for a call that was not raised is evidence of nothing yet.
            if is_over(
                row, stands(digest(row.preview), digest(row.subject)) if row.subject else None
            )
        ]
        # What comes in meanwhile is noted after this, and finds its file or is sent again.
        with self._console.writing() as connection:
            for row in gone:
                same = UPLOADS.c.preview == row.preview, UPLOADS.c.account == row.account
                connection.execute(
                    delete(UPLOADS).where(*same, UPLOADS.c.at_seconds == row.at_seconds)
                )
            for row in files:
                same = tuple(ORIGINALS.c[name] == getattr(row, name) for name in _ORIGINAL)
                connection.execute(delete(ORIGINALS).where(*same))
            named = self._named(connection)
            went = {name for row in gone for name in (row.preview, row.picture)}
            self._remove(went | {row.original for row in files}, named, now)
        return len({row.preview for row in gone} - named)

    # Files.

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of few at a time: each decoder may take a good part of a small machine."""
        if self._turns is None:
            self._turns = anyio.Semaphore(limits.PHOTO_DECODERS_MAX)
        try:
            with anyio.fail_after(limits.PHOTO_WAIT_SECONDS_MAX):
                await self._turns.acquire()
        except TimeoutError:
            raise HuyingError(Code.BUSY, "other pictures are being read: send it again") from None
        try:
            yield
        finally:
            self._turns.release()

    @contextlib.contextmanager
    def _received(self, file: IO[bytes]) -> Iterator[Path]:
        """The file's bytes under a name of ours; removed afterwards."""
        self._make_room(file)
        path = self._incoming / secrets.token_hex(16)
        try:
            self._copy(file, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _make_room(self, file: IO[bytes]) -> None:
        """The folders, and the room on the disk. Raises MediaError, HuyingError(DISK_FULL)."""
        for folder in (self._folder, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size > limits.PHOTO_BYTES_MAX:
            raise MediaError(_TOO_LARGE)
        free = shutil.disk_usage(self._folder).free
        if free < 2 * size + limits.UPLOAD_FREE_BYTES_MIN:
            raise HuyingError(Code.DISK_FULL, f"{free} bytes are free; no file is taken now")

    @staticmethod
    def _copy(file: IO[bytes], path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(path, flags, 0o600), "wb") as copy:
                while piece := file.read(_PIECE_BYTES):
                    copy.write(piece)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = Code.DISK_FULL if full else Code.STORE_FAILED
            raise HuyingError(code, f"a file can't be taken: {error.strerror}") from None

    def _note(self, prepared: Prepared, account: str, now: float, subject: bytes) -> None:
        """Make the person an owner of the files. Raises HuyingError(BUSY) where one just went."""
        preview = prepared.sha256_preview.hex()
        row = {"preview": preview, "account": account, "at_seconds": now}
        row["picture"] = prepared.sha256_picture.hex()
        paths = [prepared.picture_path, prepared.preview_path]
        with self._console.writing() as connection:
            connection.execute(
                delete(UPLOADS).where(UPLOADS.c.preview == preview, UPLOADS.c.account == account)
            )
            connection.execute(UPLOADS.insert().values(**row))
            if prepared.original_path is not None:
                paths.append(prepared.original_path)
                original = prepared.sha256_original.hex()
                self.originals.note(
                    connection, preview, original, subject=subject, account=account, now=now
                )
            # The last owner of the same file may have gone while it was being read.
            if not all(path.exists() for path in paths):
                raise HuyingError(Code.BUSY, "a picture was being removed: send it again")

    @staticmethod
    def _named(connection: Connection) -> frozenset[str]:
        """The digests of all files that somebody owns."""
        columns = (UPLOADS.c.preview, UPLOADS.c.picture, ORIGINALS.c.original)
        found = (connection.execute(select(column)).scalars() for column in columns)
        return frozenset(name for names in found for name in names)

    def _path(self, digest: str) -> Path | None:
        """The file of a digest, whatever its kind; None where there is none."""
        paths = (self._folder / f"{digest}.{suffix}" for suffix in _SUFFIXES if digest)
        return next((path for path in paths if path.exists()), None)

    def _remove(self, gone: Collection[str], named: Collection[str], now: float) -> None:
        """Remove files that no row names.

        The newest, if their row has not just `gone`, may belong to one that is being written.
        """
        with contextlib.suppress(FileNotFoundError):
            for path in (*self._folder.iterdir(), *self._incoming.iterdir()):
                if not path.is_file() or path.stem in named:
                    continue
                old = now - path.stat().st_mtime > _INCOMING_SECONDS_MAX
                if old or path.stem in gone:
                    path.unlink(missing_ok=True)


def upload_drafts(
    of: bytes,
    of_type: int,
    prepared: Prepared,
    *,
    to: tuple[str, ...] = (),
    stays_home: bool = False,
    actor: str = "",
    taken_micros: int = 0,
    request_id: bytes = b"",
) -> list[api_pb2.Draft]:
    """The drafts of a picture for the node's `Append`. See `huying.node.media.evidence_drafts`."""
    return [
        api_pb2.Draft(
            kind=draft.kind,  # type: ignore[arg-type]  # an open enum
            type=draft.type,  # type: ignore[arg-type]  # an open enum
            record=draft.record,
            message=draft.message.SerializeToString(),
            to=draft.to,
            request_id=draft.request_id,
        )
        for draft in evidence_drafts(
            of,
            of_type,
            prepared,
            to=to,
            stays_home=stays_home,
            actor=actor,
            taken_micros=taken_micros,
            request_id=request_id,
        )
    ]
