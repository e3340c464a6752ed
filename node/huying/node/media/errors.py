"""Why a file is not taken, in words for the person who chose it."""

from __future__ import annotations

from huying.common.errors import ADVICE, Advice, Code, HuyingError

__all__ = ["MediaError"]


class MediaError(HuyingError):
    """A file that is not taken: INVALID_ARGUMENT.

    `what` is in both languages with ` · ` between, Chinese first, and names neither the file nor
    anything in it; the Chinese takes the place of the code's general advice.
    """

    def __init__(self, what: str) -> None:
        self.zh, _, self.en = what.partition(" · ")
        super().__init__(Code.INVALID_ARGUMENT, self.en)

    @property
    def advice(self) -> Advice:
        """What to do about it, in this file's own words."""
        general = ADVICE[self.code]
        return Advice(general.grpc_status, general.exit_code, self.zh, self.en)
