"""What people type after an option, as values: times and page tokens."""

from __future__ import annotations

from datetime import UTC, datetime

from huying.common.errors import Code, HuyingError

__all__ = ["parse_page", "parse_time"]


def parse_time(text: str, option: str, others: str = "") -> int:
    """Unix microseconds of an ISO 8601 time; without a zone it is this machine's.

    `others` says what else the option takes. Raises HuyingError(INVALID_ARGUMENT), naming `option`,
    also for a time before 1970.
    """
    try:
        micros = int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)
    except (ValueError, OverflowError, OSError):
        micros = 0
    if micros <= 0:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{option}: a time as 2026-12-31T17:00 or 2026-12-31{others}"
        )
    return micros


def parse_page(text: str) -> bytes:
    """The token of a page, as the page before gave it. Raises HuyingError(INVALID_ARGUMENT)."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "--page: hex, as the page before gave it"
        ) from None
