"""Questions about single entries, and their answers: what was missing, damaged, or opened later.

An answer holds what the asker may have by the rule and by the disclosures in force; what comes as
an answer is held to the leaf that is held, whoever sends it. docs/SYNC.md, "Wants and answers".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common import limits
from huying.common.codes import parse_origin
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.integrity.mending import leaves_answer
from huying.common.late.spans import NO_SPANS
from huying.common.sync.outgoing import disclosed_entry
from huying.wire.v1 import feed_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.sync.session import Session

__all__ = ["LateAnswers"]


@dataclass(slots=True)
class _Budget:
    """What may still be looked up for one peer's wants in one step."""

    bytes: int = limits.UNACKED_BYTES_MAX
    entries: int = limits.WANTS_IN_FLIGHT_MAX * limits.WANT_ENTRIES_MAX


class LateAnswers:
    """Answers and takes answers for one engine, inside the transaction that they came in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._budgets: dict[int, _Budget] = {}  # of this step, by link

    def begin(self) -> None:
        """Another step: everybody may ask again."""
        self._budgets.clear()

    def want(self, session: Session, want: sync_pb2.Want) -> Iterator[sync_pb2.Frame]:
        """The answer to one question, in frames.

        Raises HuyingError(NOT_SERVED or LIMIT_EXCEEDED).
        """
        engine = self._engine
        feed = engine.replica.feeds.get(want.origin)
        if feed is None or not session.answers(want.origin):
            raise HuyingError(Code.NOT_SERVED, "a feed that does not travel this link")
        if want.stop < want.start or want.stop - want.start > limits.WANT_ENTRIES_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"over {limits.WANT_ENTRIES_MAX} entries wanted")
        if not self._has_budget(session, want):
            return
        origin = parse_origin(want.origin)
        wanted = frozenset(want.slots)
        entries: list[sync_pb2.DisclosedEntry] = []
        stop = min(want.stop, feed.size)
        stored = engine.replica.store.entries(feed.feed_id, min(want.start, stop), stop)
        if want.leaves:
            answer = leaves_answer(want, stored, session.peer, origin)
            self._budgets[session.link].bytes -= answer.ByteSize()
            yield sync_pb2.Frame(disclose=answer)
            return
        # What was disclosed is for whoever asks for it by its slots, as one does who knows the
        # statement. To whoever asks for whatever it lacks it may be news yet, and look stolen.
        granted = NO_SPANS
        if wanted:
            granted = engine.replica.grants.for_peer(
                session.peer, want.origin, want.start, want.stop, engine.clock.now()
            )
        for index, entry in enumerate(stored, start=want.start):
            given = disclosed_entry(entry, session.peer, origin, granted.at(index))
            if given is None:
                continue
            leaf, openings = given
            if wanted:
                openings = [opening for opening in openings if opening[0] in wanted]
            if openings:
                entries.append(
                    sync_pb2.DisclosedEntry(
                        index=index, entry=feed_pb2.Entry(leaf=leaf, openings=openings)
                    )
                )
        for frame in session.answer(want, entries):
            self._budgets[session.link].bytes -= frame.ByteSize()
            yield frame

    def _has_budget(self, session: Session, want: sync_pb2.Want) -> bool:
        """Whether this step looks up one more answer for the peer; it asks again if not.

        A want is small and its answer is not: thousands in one breath would fill the memory.
        """
        budget = self._budgets.setdefault(session.link, _Budget())
        if budget.bytes <= 0 or budget.entries <= 0:
            return False
        budget.entries -= want.stop - want.start
        return True

    def disclose(self, session: Session, message: sync_pb2.Disclose) -> None:
        """Take what an answer brings. Raises HuyingError(NOT_SERVED, or as `replica.mend`)."""
        engine = self._engine
        if message.origin != engine.identity.origin and not session.accepts(message.origin):
            raise HuyingError(Code.NOT_SERVED, "a feed that does not travel this link")
        if message.origin not in engine.replica.feeds:
            raise HuyingError(Code.NOT_SERVED, "an answer of a feed of which nothing is held")
        if message.hashes:
            engine.replica.mend(message)
        for disclosed in message.entries if not message.hashes else ():
            try:
                engine.replica.receive_disclosed(message.origin, disclosed.index, disclosed.entry)
            except HuyingError as error:
                if error.code in STORE_FAULTS:
                    raise
                engine.breaches += error.code is Code.BREACH
                engine.alarm(error.code, message.origin, session.peer, error.detail)
        if message.last:
            if message.origin == engine.identity.origin:
                engine.recovery.answer(session, message.start, message.stop)
            engine.wants.answered(
                message.origin, message.start, message.stop, engine.clock.monotonic()
            )
