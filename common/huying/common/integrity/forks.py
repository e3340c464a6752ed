"""What neighbours show of their own feeds and of each other's, and what a contradiction leads to.

In its greeting each side shows the newest notes that it holds: of its own feed, and of the other's.
Who signed a note can believe it; who holds the tree can check it. A note of more entries than are
held of the own feed starts the recovery; two notes that can't both be true freeze the feed at
everyone who hears of them, and halt the node that signed them, in all its copies.
docs/FEED.md, "Restore, clone, fork".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.integrity.evidence import ForkError, ForkEvidence
from huying.common.integrity.witness import adopt_cosignature, compare, raise_floor
from huying.common.state import StoredCheckpoint
from huying.wire.v1 import sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.sync.session import Session

__all__ = ["Forks"]


class Forks:
    """Compares notes for one engine, inside the transaction in which they came."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def greeted(self, session: Session, hello: sync_pb2.Hello) -> None:
        """Look at every note of a greeting."""
        engine = self._engine
        shown: StoredCheckpoint | None = None
        for held in hello.held:
            try:
                if held.origin == engine.identity.origin:
                    shown = self._own(session, held)
                elif engine.replica.feed_key(held.origin) is not None:
                    self._theirs(session, held)
                    self._passing(session, held)
            except HuyingError as error:  # the greeting stands without it
                self.trouble(session, held.origin, error)
        size = shown.size if shown is not None else 0
        engine.recovery.heard(session, size, hello)

    def trouble(self, session: Session, origin: str, error: HuyingError) -> None:
        """A note was not good. Raises the store's own faults."""
        if error.code in STORE_FAULTS:
            raise error
        self._engine.alarm(error.code, origin, session.peer, error.detail)
        if isinstance(error, ForkError):
            self.found(origin, error.evidence)

    def _own(self, session: Session, held: sync_pb2.Held) -> StoredCheckpoint | None:
        """The largest note of this node's own feed that the peer shows.

        Only a note counts: a peer that just says that it holds more could stop any neighbour.
        """
        engine = self._engine
        origin = engine.identity.origin
        notes = [
            compare(engine.replica, origin, note) for note in (held.newest, held.cosigned) if note
        ]
        shown = max(notes, key=lambda note: note.size, default=None)
        if shown is not None and shown.size > engine.replica.own.size:
            engine.recovery.begin(
                f"{session.peer} shows a checkpoint of this feed that is not here", shown
            )
        elif held.cosigned:
            adopt_cosignature(engine.replica, session.peer, held.cosigned)
        return shown

    def _theirs(self, session: Session, held: sync_pb2.Held) -> None:
        """What the peer shows of its own feed: its newest note, and what was cosigned here."""
        engine = self._engine
        if parse_origin(held.origin).code != session.peer:
            return
        feed = engine.replica.feeds.get(held.origin)
        if feed is not None and feed.frozen:  # a copy of the node may not have heard of it
            self._tell(session, held.origin, ForkEvidence.decode(feed.frozen))
            return
        if held.newest and feed is not None:
            compare(engine.replica, held.origin, held.newest)
        if held.witnessed and raise_floor(engine.replica, held.origin, held.witnessed):
            detail = "what was cosigned here had been forgotten; nothing is signed below it"
            engine.alarm(Code.RECOVERING, held.origin, session.peer, detail)

    def _passing(self, session: Session, held: sync_pb2.Held) -> None:
        """A feed that comes through the peer: does it say another root of what is held here?"""
        feed = self._engine.replica.feeds.get(held.origin)
        if feed is None or held.size > feed.size or not session.accepts(held.origin):
            return
        if held.root != self._engine.replica.root_at(feed, held.size):
            self.show(session, held.origin)

    def show(self, session: Session, origin: str, below: int | None = None) -> None:
        """The peer holds another history: show it the newest note that speaks of what is held here.

        Its word is no evidence, and this note is: whoever holds more finds the contradiction in the
        other's note, and proves it to both. `below`: only a note of fewer entries.
        """
        feed = self._engine.replica.feeds.get(origin)
        if feed is None or feed.frozen:
            return
        kept = self._engine.replica.store.checkpoints(feed.feed_id, 0, feed.size, True, 1)
        if kept and (below is None or kept[0].size < below):
            refusal = sync_pb2.Refusal(
                code=Code.BAD_PROOF, detail="another history", origin=origin, first=kept[0].note
            )
            self._engine.reply(session, sync_pb2.Frame(refusal=refusal))

    def shown(self, session: Session, origin: str, note: bytes) -> None:
        """A neighbour shows a note of a feed of which it holds another history.

        Raises HuyingError(BAD_NOTE or BAD_SIGNATURE).
        """
        engine = self._engine
        feed = engine.replica.feeds.get(origin)
        if feed is None or feed.frozen or not session.carries(origin):
            return
        if engine.replica.feed_key(origin) is None:
            return
        try:
            signed = compare(engine.replica, origin, note)
        except ForkError as error:
            self.trouble(session, origin, error)
            return
        if signed.size > feed.size:  # the peer holds more, so it is the one to find out
            self.show(session, origin, below=signed.size)

    # A contradiction.

    def found(self, origin: str, evidence: ForkEvidence, but: Session | None = None) -> None:
        """A feed was just frozen: halt where it is this node's own, and tell the neighbours."""
        engine = self._engine
        if origin == engine.identity.origin:
            engine.recovery.halt()
        for session in engine.sessions.values():
            if session is not but and session.greeted and session.carries(origin):
                self._tell(session, origin, evidence)

    def _tell(self, session: Session, origin: str, evidence: ForkEvidence) -> None:
        refusal = evidence.refusal(origin, "two notes that can't both be true")
        self._engine.reply(session, sync_pb2.Frame(refusal=refusal))

    def told(self, session: Session, refusal: sync_pb2.Refusal) -> None:
        """A neighbour shows evidence. It proves itself, so it does not matter who shows it.

        Raises HuyingError(BAD_NOTE, BAD_SIGNATURE or BAD_PROOF) where it proves nothing.
        """
        engine = self._engine
        key = engine.replica.feed_key(refusal.origin)
        if key is None or not session.carries(refusal.origin):
            return
        feed = engine.replica.feeds.get(refusal.origin)
        if feed is not None and feed.frozen:
            return
        evidence = ForkEvidence.of(refusal)
        first, second = evidence.verify(key)
        engine.replica.freeze(refusal.origin, evidence)
        detail = f"signed for sizes {first.size} and {second.size}, and they have no common history"
        engine.alarm(Code.FORK, refusal.origin, session.peer, detail)
        self.found(refusal.origin, evidence, but=session)
