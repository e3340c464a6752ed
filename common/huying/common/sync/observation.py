"""What a node has seen of a feed beside its entries: how old its knowledge is, and how sure.

Lag is measured, never assumed. A feed that is behind lags since the oldest announcement that is
not applied; one that is level lags by the age of the newest proof that it is; without contact, or
without a fresh pulse of the origin, it is unknown. Only this node's clock is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from huying.common.status import DelayHistogram
from huying.common.sync.pulse import Pulse

__all__ = ["Observation", "Recurrence"]

# A clock that was set back by more leaves observations in the future, whose age nobody knows.
_SET_BACK_SECONDS_MAX: Final = 1.0


@dataclass(slots=True)
class Recurrence:
    """A sign that means little once, and something when it comes again after a while."""

    since: float | None = None  # unix seconds
    confirmed: bool = False

    def again(self, now: float, grace_seconds: float) -> None:
        """The sign came, with nothing in between that explains it."""
        if self.since is None:
            self.since = now
        elif now - self.since >= grace_seconds:
            self.confirmed = True

    def clear(self) -> None:
        """What explains it came."""
        self.since = None
        self.confirmed = False


@dataclass(slots=True)
class Observation:
    """One followed feed. Times are unix seconds of this node's clock."""

    remote_head_size: int = 0
    remote_head_observed: float | None = None
    oldest_unapplied: float | None = None
    last_success: float | None = None
    pulse: Pulse | None = None
    pulse_observed: float | None = None
    ahead: Recurrence = field(default_factory=Recurrence)  # pulses, of what arrived
    old_checkpoints: Recurrence = field(default_factory=Recurrence)
    old_pulses: Recurrence = field(default_factory=Recurrence)
    withheld: bool = False  # these three: as it was told to the operator
    tail_cut: bool = False
    replayed: bool = False
    delay: DelayHistogram = field(default_factory=DelayHistogram)

    def announced(self, size: int, held: int, now: float) -> None:
        """Somebody said that the feed has `size` entries, while `held` are here."""
        if size >= self.remote_head_size:
            self.remote_head_size = size
            self.remote_head_observed = now
        if size > held and self.oldest_unapplied is None:
            self.oldest_unapplied = now

    def applied(self, size: int, committed: Iterable[float], now: float) -> None:
        """Entries were stored; `size` are held. `committed` are their origin's commit times."""
        self.last_success = now
        self.delay.observe([now - then for then in committed])
        self.ahead.clear()
        self.old_checkpoints.clear()
        if size >= self.remote_head_size:
            self.oldest_unapplied = None
            self.remote_head_size = size
            self.remote_head_observed = now

    def heard(self, pulse: Pulse, held: int, now: float, grace_seconds: float) -> bool:
        """A pulse arrived; False where it is no newer than the last one."""
        last = self.pulse
        if last is not None and pulse.time <= last.time and pulse.size <= last.size:
            return False
        self.pulse = pulse
        self.pulse_observed = now
        self.old_pulses.clear()
        self.announced(pulse.size, held, now)
        if pulse.size <= held:
            self.ahead.clear()
            self.old_checkpoints.clear()  # there is nothing newer that they could stand for
        else:
            self.ahead.again(now, grace_seconds)
        return True

    def tail_is_cut(self) -> bool:
        """Whether pulses keep running ahead of a feed that does not move."""
        return self.ahead.confirmed and not self.old_checkpoints.confirmed

    def tail(self) -> str:
        """What the newest pulse says of a tail that does not come."""
        size = self.pulse.size if self.pulse is not None else 0
        return f"its origin signed {size} entries"

    def head_is_replayed(self) -> bool:
        """Whether old checkpoints or old pulses keep coming, and none that is newer."""
        return self.old_checkpoints.confirmed or self.old_pulses.confirmed

    def is_fresh(self, now: float, stale_seconds: float) -> bool:
        """Whether the newest pulse is recent enough to speak for the present."""
        if self.pulse_observed is None:
            return False
        return -_SET_BACK_SECONDS_MAX <= now - self.pulse_observed <= stale_seconds

    def lag_seconds(
        self, held: int, connected: bool, now: float, stale_seconds: float
    ) -> float | None:
        """How far behind this node is, at most; None where nobody knows."""
        if not connected:
            return None
        if held < self.remote_head_size and self.oldest_unapplied is not None:
            return _age(self.oldest_unapplied, now)
        if not self.is_fresh(now, stale_seconds):
            return None
        assert self.pulse_observed is not None
        return _age(max(self.pulse_observed, self.last_success or 0.0), now)


def _age(then: float, now: float) -> float | None:
    """Seconds since, or None where the clock was set back in between."""
    return max(now - then, 0.0) if now - then >= -_SET_BACK_SECONDS_MAX else None
