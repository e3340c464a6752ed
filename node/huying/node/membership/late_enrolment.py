"""Enrolment, loaded when it is first needed: most villages never take anybody in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.ports import Clock

if TYPE_CHECKING:
    from huying.node.config import Config
    from huying.node.membership.enrolment import Enrolment
    from huying.node.runtime import Runtime

__all__ = ["LateEnrolment"]


class LateEnrolment:
    """The node's one `Enrolment`, once somebody asked for it."""

    def __init__(self, config: Config, runtime: Runtime, clock: Clock) -> None:
        self._parts = config, runtime, clock
        self._made: Enrolment | None = None

    def get(self) -> Enrolment:
        """It, made now where it was not yet."""
        if self._made is None:
            from huying.node.membership.enrolment import Enrolment

            self._made = Enrolment(*self._parts)
        return self._made

    async def knock(self, data: bytes, host: str) -> bytes:
        """See `Enrolment.knock`."""
        return await self.get().knock(data, host)

    @property
    def refused_attempts(self) -> int:
        """Joins refused since the start. Safe on any thread."""
        return 0 if self._made is None else self._made.refused_attempts
