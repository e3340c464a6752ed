"""A child that began a later epoch by its operator's word alone, and its parent who is to accept.

Where no Close could announce it (the end of the feed is lost, or the feed is forked), the child
shows its succession in the greeting. That changes nothing by itself: the parent's operator compares
it with what the child's operator says, and accepts it with a Member. docs/FEED.md, "Keys".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import VerifierKey
from huying.common.membership.succession import open_succession
from huying.common.sync.session import Session
from huying.wire.v1 import sync_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Claims"]


class Claims:
    """What this node claims, and what its children claim, by code."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.heard: dict[str, trust_pb2.Succession] = {}

    def show(self, session: Session, hello: sync_pb2.Hello) -> None:
        """Claim the newest epoch that no Close announced, unless the parent names it already."""
        roster = self._engine.roster
        opened = self._engine.epochs.opened
        if session.direction is not Direction.UP or opened is None:
            return
        pin = roster.pin(roster.code)
        claimed = VerifierKey.parse(opened.feed_key).name
        if pin is None or parse_origin(pin.origin).epoch < parse_origin(claimed).epoch:
            hello.claim.CopyFrom(opened)

    def take(self, session: Session, hello: sync_pb2.Hello) -> None:
        """Note what a child claims. One that proves nothing is dropped, and alarmed."""
        engine = self._engine
        if not hello.HasField("claim") or session.peer not in engine.roster.children:
            return
        claim = hello.claim
        try:
            succession = open_succession(claim, engine.roster.feed_key(claim.origin))
            if parse_origin(claim.origin).code != session.peer:
                raise HuyingError(Code.KEY, "it is of another node")
        except HuyingError as error:
            engine.alarm(error.code, peer=session.peer, detail=f"a claim: {error.detail}")
            return
        if engine.roster.feed_key(succession.key.name) == succession.key:
            self.heard.pop(session.peer, None)
            return
        self.heard[session.peer] = claim
        word = "with" if engine.epochs.has_word(succession) else "WITHOUT"
        engine.alarm(
            Code.KEY_CHANGED,
            feed=succession.key.name,
            peer=session.peer,
            detail=f"claimed {word} the old key's signature; accept it, or revoke the child",
        )
