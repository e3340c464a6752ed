"""One node's protocol engine: inputs in, one durable transaction, effects out.

`step` takes whatever is waiting (drafts to write, frames from peers, links that came and went),
handles all of it in one store transaction, and only then says what may be sent or acknowledged.
The order that makes a restored node safe is kept here: commit, then the high-water mark, then
everything that leaves the node.

The engine owns no thread, socket, file or clock; `huying.node.runtime` and the simulator do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from huying.common import limits
from huying.common.appends import Appends
from huying.common.copies.copy_shelf import CopyShelf
from huying.common.copies.sealing import Sealing
from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    Close,
    Direction,
    Drain,
    Effect,
    Input,
    LinkDown,
    LinkUp,
    Notice,
    Operate,
    Operated,
    Received,
    Send,
)
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.integrity.forks import Forks
from huying.common.integrity.lost import Losses
from huying.common.integrity.recovery import Recovery
from huying.common.late.disposal import Disposal
from huying.common.membership.claims import Claims
from huying.common.membership.epochs import Epochs
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import Identity, Pin, Roster
from huying.common.ports import Clock, Entropy, ErasureList, HighWaterMark, Sequencer, Store
from huying.common.replica import Replica
from huying.common.report import node_status
from huying.common.status import NodeStatus
from huying.common.sync.conversation import Conversation
from huying.common.sync.observation import Observation
from huying.common.sync.pulse_board import PulseBoard
from huying.common.sync.rounds import Rounds
from huying.common.sync.session import Session
from huying.common.sync.wants import WantBook
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = ["Engine", "Sequencer", "Settings"]

REPORTED_ALARMS_MAX = 64  # in one step; the counters count them all


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds."""

    pulse_seconds: float = limits.PULSE_SECONDS
    confirm_seconds: float = limits.CONFIRM_SECONDS
    withheld_grace_seconds: float = limits.WITHHELD_GRACE_SECONDS
    want_retry_seconds_min: float = limits.WANT_RETRY_SECONDS_MIN
    want_retry_seconds_max: float = limits.WANT_RETRY_SECONDS_MAX
    receipt_seconds: float = limits.RECEIPT_SECONDS
    sealed_quiet_seconds: float = limits.SEALED_QUIET_SECONDS

    @property
    def stale_seconds(self) -> float:
        """After so long without a pulse nobody knows how far an origin has come."""
        return self.pulse_seconds * limits.PULSES_MISSED_MAX


class Engine:
    """The node's one writer and one reader of frames."""

    def __init__(
        self,
        *,
        identity: Identity,
        parent: str | None,
        pins: Sequence[Pin],
        store: Store,
        clock: Clock,
        entropy: Entropy,
        mark: HighWaterMark,
        settings: Settings = Settings(),
        sequencer: Sequencer | None = None,
        erasure_list: ErasureList | None = None,
        copy_shelf: CopyShelf | None = None,
        recovery_key: bytes = b"",
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.roster = Roster(identity, parent, pins)
        self.replica = Replica(identity, self.roster, store, clock, entropy)
        self.sessions: dict[int, Session] = {}
        self.observations: dict[str, Observation] = {}
        self.contacts: dict[str, float] = {}  # last frame of a peer, unix seconds
        self.clock_offsets: dict[str, float] = {}
        self.failures: Counter[tuple[str, Code]] = Counter()
        self.withheld_gaps = 0
        self.breaches = 0
        self.change_count = 0
        self.state = "starting"
        self.confirmed = parent is None  # writing may begin
        self.confirmed_by_parent = parent is None
        self.refused_as_revoked = False  # the parent's last word on this node's key
        self.wants = WantBook(settings.want_retry_seconds_min, settings.want_retry_seconds_max)
        self.pulses = PulseBoard()
        self._store = store
        self.entropy = entropy
        self.recovery = Recovery(self, mark)
        self.forks = Forks(self)
        self.losses = Losses(self)
        self.replica.statements.reactions[feed_pb2.RECORD_TYPE_RECOVERED] = self.losses.react
        self.epochs = Epochs(self)
        self.claims = Claims(self)
        self.appends = Appends(self, sequencer)
        self.disposal = Disposal(self, store, erasure_list)
        self.sealing = Sealing(self, copy_shelf, recovery_key)
        self._changed: set[str] = set()  # feeds that the last transaction changed
        self.rounds = Rounds(self, entropy)
        self.conversation = Conversation(self)
        self._effects: list[Effect] = []
        self._notices: list[Notice] = []
        self._alarms = 0  # in this step
        self._confirm_by = 0.0
        self._wake: float | None = None

    @property
    def identity(self) -> Identity:
        """Who this node is, with the keys of the present epoch."""
        return self.replica.identity

    # Starting.

    def start(self) -> list[Effect]:
        """Compare the store with the high-water mark, and learn the keys that its feeds brought."""
        self.recovery.start()
        for error in self.replica.statements.replay():
            self.alarm(error.code, detail=error.detail)
        self.disposal.start()
        now = self.clock.monotonic()
        self._confirm_by = now + self.settings.confirm_seconds
        self.rounds.pulse_soon()
        drafts = [
            member_draft(member_message(pin), self.identity.code) for pin in self.epochs.unsaid()
        ]
        if drafts:
            self.appends.waiting.append(Append(None, tuple(drafts)))
        if self.roster.parent is None and self.roster.children and self.replica.own.size:
            self.confirmed = False  # it has nobody but its children to ask what has left it
        if self.state == "starting":
            self.state = "live"
        found = self._effects
        return [*found, *self.step(())]

    # Stepping.

    def step(self, inputs: Sequence[Input]) -> list[Effect]:
        """Handle the inputs in one transaction, and whatever timers are due.

        An input that trips over a fault of our own is handled apart from the others, so that it
        alone is lost. Raises HuyingError(STORE_FAILED) where the store can't be trusted any more.
        """
        if len(inputs) > 1 and any(isinstance(one, Operate) for one in inputs):
            return self._step_apart(inputs)
        self._effects, self._alarms = [], 0
        waiting = list(self.appends.waiting)
        try:
            self._transact(inputs)
        except HuyingError as error:
            if inputs and isinstance(inputs[0], Operate) and error.code not in STORE_FAULTS:
                self.appends.take_back(waiting)
                self._effects = [Operated(inputs[0].token, error=error)]
                return self._effects
            if error.code is not Code.DISK_FULL:
                raise
            self.appends.take_back(waiting)
            self._give_up(inputs, error)
        except Exception as error:
            self.appends.take_back(waiting)
            if len(inputs) > 1:
                # A link that was ended in the attempt has no session any more, so it must end.
                effects: list[Effect] = [one for one in self._effects if isinstance(one, Close)]
                for one in inputs:
                    effects.extend(self.step((one,)))
                self._effects = []
                return effects
            if not inputs:
                raise
            detail = f"{type(error).__name__} in {type(inputs[0]).__name__}"
            self._give_up(inputs, HuyingError(Code.UNKNOWN, detail), error)
        else:
            self._after_commit(lambda: self.conversation.finish(self._changed))
            self._after_commit(self.sealing.send)
        self._after_commit(self._go_round)
        self._after_commit(self.disposal.scrub)
        self._wake = None
        effects, self._effects = self._effects, []
        return effects

    def _step_apart(self, inputs: Sequence[Input]) -> list[Effect]:
        """An operation has a transaction of its own, so that what it raises undoes it alone."""
        effects = self.step([one for one in inputs if not isinstance(one, Operate)])
        for one in inputs:
            if isinstance(one, Operate):
                effects.extend(self.step((one,)))
        return effects

    def _go_round(self) -> None:
        with self._store.view():
            self.rounds.go()

    def _after_commit(self, work: Callable[[], None]) -> None:
        """Do what follows a commit. A fault of our own there undoes nothing: it costs the links."""
        try:
            work()
        except Exception as error:
            if isinstance(error, HuyingError) and error.code in STORE_FAULTS:
                raise
            self.failures["", Code.UNKNOWN] += 1
            detail = f"{type(error).__name__} after a commit"
            self._effects.append(Alarm(Code.UNKNOWN, "", "", detail, error))
            for link in list(self.sessions):
                self.close(link, Code.UNKNOWN, detail)

    def _transact(self, inputs: Sequence[Input]) -> None:
        """One transaction over all inputs; nothing leaves before it is durable."""
        now = self.clock.monotonic()
        if not self.confirmed and now >= self._confirm_by:
            self.confirmed = True  # nobody could be asked; `unconfirmed` shows it until they can
        before = self.replica.own
        answers: list[Appended | Operated] = []
        self._notices.clear()
        self.conversation.begin()
        self.replica.begin()
        try:
            with self._store.transaction():
                for one in inputs:
                    self._handle(one, answers)
                if self.confirmed and self.appends.waiting and not self.recovery.is_on:
                    self.appends.write_waiting(answers)
                if now >= self.conversation.cosignatures_due():
                    self.conversation.keep_cosignatures()
                self.disposal.within()
                self.losses.settle()
                self.recovery.finish(now)
                self.appends.sequence()
                self.appends.say_what_is_owed()
                changed = self.replica.commit()
                self.sealing.within()
        except BaseException:  # also where the store's own commit fails, which is at its exit
            self.replica.rollback()
            self.sealing.rollback()
            self.recovery.rollback()
            raise
        own = self.replica.own
        if (own.origin, own.size) != (before.origin, before.size):
            self.recovery.write_mark()
        self.recovery.commit()
        self.disposal.committed()
        if changed:
            self.change_count += 1
        self._effects.extend(self._notices)
        self._effects.extend(answer for answer in answers if answer.token is not None)
        self._changed = changed

    def _handle(self, one: Input, answers: list[Appended | Operated]) -> None:
        if isinstance(one, Received):
            self.conversation.on_frame(one)
        elif isinstance(one, Operate):
            answers.append(Operated(one.token, one.operation.run(self)))
        elif isinstance(one, Append):
            self.appends.take(one, answers)
        elif isinstance(one, LinkUp):
            self.conversation.on_link_up(one)
        elif isinstance(one, LinkDown):
            self.sessions.pop(one.link, None)
        else:
            self._drain(one)

    def _drain(self, one: Drain) -> None:
        self.state = "draining"
        frame = sync_pb2.Frame(
            drain=sync_pb2.Drain(retry_after_milliseconds=int(one.retry_after_seconds * 1000))
        )
        for session in self.sessions.values():
            self.send(session, frame)

    def _give_up(
        self, inputs: Sequence[Input], error: HuyingError, fault: Exception | None = None
    ) -> None:
        """Nothing of these inputs was kept: say so to whoever waits, and start their links anew."""
        self.failures["", error.code] += 1
        self._effects.append(Alarm(error.code, "", "", error.detail, fault))
        for one in (*inputs, *self.appends.waiting):
            if isinstance(one, Append) and one.token is not None:
                self._effects.append(Appended(one.token, error=error))
            elif isinstance(one, Operate):
                self._effects.append(Operated(one.token, error=error))
        # Our own are for later.
        self.appends.waiting = [one for one in self.appends.waiting if one.token is None]
        links = {one.link for one in inputs if isinstance(one, (Received, LinkUp))}
        if fault is None:  # else it is one input's, and the other links have no part in it
            links |= set(self.sessions)
        for link in links:
            self.sessions.pop(link, None)
            self._effects.append(Close(link, error.code, error.detail))

    # Sending.

    def hello(self, session: Session) -> sync_pb2.Frame:
        """This node's greeting on a link, as it stands now."""
        on = self.recovery.is_on
        base = self.recovery.base if on else {}
        greeting = session.hello(self.clock.now(), recovering=on, base=base)
        self.claims.show(session, greeting)
        return sync_pb2.Frame(hello=greeting)

    def reply(self, session: Session, frame: sync_pb2.Frame) -> None:
        """Send a frame once this transaction is durable."""
        self.conversation.reply(session, frame)

    def send(self, session: Session, frame: sync_pb2.Frame) -> None:
        """Queue a frame for a link."""
        data = frame.SerializeToString()
        session.sent_bytes += len(data)
        self._effects.append(Send(session.link, data))

    def close(self, link: int, code: Code, detail: str) -> None:
        """End a link."""
        if self.sessions.pop(link, None) is not None:
            self._effects.append(Close(link, code, detail))

    def end(self, session: Session, code: Code, detail: str) -> None:
        """End a peer's link for good, and tell it why."""
        refusal = sync_pb2.Refusal(code=code, detail=detail)
        self.send(session, sync_pb2.Frame(refusal=refusal))
        self.close(session.link, code, detail)

    def refuse_link(self, link: int, code: Code, detail: str) -> None:
        """A link that must not be opened at all."""
        self._effects.append(Close(link, code, detail))

    def alarm(self, code: Code, feed: str = "", peer: str = "", detail: str = "") -> None:
        """Show something to the operator, and count it."""
        self.failures[peer, code] += 1
        self._alarms += 1
        if self._alarms <= REPORTED_ALARMS_MAX:
            self._effects.append(Alarm(code, feed, peer, detail))

    def notify(self, notice: Notice) -> None:
        """Have the shell follow something up, once this transaction is durable."""
        self._notices.append(notice)

    def session_towards(self, code: str) -> Session | None:
        """The greeted session on the line to a node, where that line is up."""
        neighbour = self.roster.link_towards(code)
        for session in self.sessions.values():
            if session.peer == neighbour and session.greeted:
                return session
        return None

    # Looking.

    def observation(self, origin: str) -> Observation:
        """What was seen of a feed, beside its entries."""
        seen = self.observations.get(origin)
        if seen is None:
            seen = self.observations[origin] = Observation()
        return seen

    def next_wake(self) -> float:
        """When `step` has something to do though nothing came; monotonic seconds."""
        if self._wake is None:
            self._wake = min(self._timers())
        return self._wake

    def _timers(self) -> Iterator[float]:
        if not self.confirmed:
            yield self._confirm_by
        yield self.conversation.cosignatures_due()
        yield from self.disposal.timers()
        yield from self.recovery.timers()
        yield from self.losses.timers(self.clock.monotonic())
        yield from self.rounds.timers()
        yield from self.sealing.timers()

    def status(self) -> NodeStatus:
        """The node as it stands now."""
        return node_status(self)

    def direction_of(self, code: str) -> Direction:
        """Where a neighbour stands."""
        return Direction.UP if code == self.roster.parent else Direction.DOWN
