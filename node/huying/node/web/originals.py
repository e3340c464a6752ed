"""Files as they were handed in, with what the camera wrote into them: kept just on purpose.

The time and the place in a photo may be what is in dispute; they may as well show where somebody
lives. So a file is kept for one event or call alone, and found by it: the same photo handed in of
something else, by somebody else, leads nobody to it. It never travels, and goes with the evidence
that it was kept for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, and_, delete, or_, select, tuple_

from huying.node.media.examining import Kind
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.node.web.schema import ORIGINALS
from huying.node.web.store import ConsoleStore

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["Originals", "kept_originals", "original_type"]

_NOT_RAISED: Final = ""  # of a call that is still a form
_TYPES: Final = {
    ".jpg": Kind.JPEG.value,
    ".png": Kind.PNG.value,
    ".webp": Kind.WEBP.value,
}


class Originals:
    """Which files are kept, of what, and by whom. All calls block; they raise as the store."""

    def __init__(self, console: ConsoleStore) -> None:
        self._console = console
        self._folder: Final = console.folder / "files"

    def note(
        self,
        connection: Connection,
        preview: str,
        original: str,
        *,
        subject: bytes,
        account: str,
        now: float,
    ) -> None:
        """Write down, in the caller's transaction, that `account` keeps a file.

        `preview` and `original` are digests in hex; `subject` is the record of the event or call,
        empty where it is not raised yet.
        """
        key = {"preview": preview, "subject": subject.hex(), "account": account}
        connection.execute(
            delete(ORIGINALS).where(*(ORIGINALS.c[name] == value for name, value in key.items()))
        )
        row = {**key, "original": original, "at_seconds": now}
        connection.execute(ORIGINALS.insert().values(**row))

    def bind(
        self, account: str, previews: Iterable[bytes], subject: bytes, before: bytes = b""
    ) -> None:
        """Say of what the files are that `account` kept with a call before it was raised.

        `before` is the draft that this one puts right: what was kept with it goes along.
        """
        named = ORIGINALS.c.preview.in_([preview.hex() for preview in previews])
        mine = and_(ORIGINALS.c.account == account, ORIGINALS.c.subject == _NOT_RAISED)
        moves = or_(mine, ORIGINALS.c.subject == before.hex()) if before else mine
        with self._console.writing() as connection:
            rows = connection.execute(select(ORIGINALS).where(named, moves)).mappings().all()
            connection.execute(delete(ORIGINALS).where(named, moves))
            for row in rows:  # the same request again finds some of them bound already
                connection.execute(
                    ORIGINALS.insert()
                    .prefix_with("OR REPLACE")
                    .values(**{**row, "subject": subject.hex()})
                )

    def find(self, preview: bytes, subject: bytes) -> Path | None:
        """The file that was kept of that event or call, by whomever; None where there is none."""
        query = select(ORIGINALS.c.original).where(
            ORIGINALS.c.preview == preview.hex(), ORIGINALS.c.subject == subject.hex()
        )
        with self._console.reading() as connection:
            digests = connection.execute(query.order_by(ORIGINALS.c.at_seconds)).scalars().all()
        paths = (self._folder / f"{one}{suffix}" for one in digests for suffix in _TYPES)
        return next((path for path in paths if path.exists()), None) if subject else None

    def among(self, keys: Iterable[tuple[bytes, bytes]]) -> frozenset[tuple[bytes, bytes]]:
        """Those of these pairs of preview and subject that a file is kept of."""
        wanted = [(preview.hex(), subject.hex()) for preview, subject in keys if subject]
        columns = ORIGINALS.c.preview, ORIGINALS.c.subject
        with self._console.reading() as connection:
            rows = connection.execute(select(*columns).where(tuple_(*columns).in_(wanted)))
            return frozenset((bytes.fromhex(row[0]), bytes.fromhex(row[1])) for row in rows)


async def kept_originals(ask: Ask, rows: Iterable[EvidenceRow]) -> frozenset[tuple[bytes, bytes]]:
    """Of which of these pictures the file itself is kept here: their digests, each with its `of`.

    Raises as the store.
    """
    own = ask.node.code
    keys = [
        (row.sha256, row.of) for row in rows if row.home == own and row.state is EvidenceState.WHOLE
    ]
    if not keys:
        return frozenset()
    return await ask.site.on_thread(lambda: ask.site.uploads.originals.among(keys))


def original_type(path: Path) -> str:
    """The media type of a file that is kept, by the name that its content was given."""
    return _TYPES[path.suffix]
