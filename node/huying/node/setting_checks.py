"""What a setting may hold: each check takes what stood in the file and returns the value.

A check raises ValueError with what to do. From the environment everything comes as text, so a check
of a number takes its digits, too.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from huying.common import limits
from huying.common.errors import HuyingError
from huying.node.offline_window import OfflineWindow

__all__ = [
    "address",
    "by",
    "days",
    "hour",
    "loopback",
    "minutes",
    "name",
    "one_of",
    "provision_days",
    "seconds",
    "split_address",
    "template_names",
    "text",
    "truth",
    "web_address",
    "web_origin",
    "window",
]

SECONDS_MAX: Final = 86400.0
DAYS_MAX: Final = 36500
MINUTES_MAX: Final = 7 * 24 * 60
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_TEMPLATE_NAMES: Final = re.compile(r"[a-z0-9][a-z0-9-]*(,[a-z0-9][a-z0-9-]*)*")


def split_address(value: str) -> tuple[str, int]:
    """(host, port) of `HOST:PORT`; an IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, e.g. 127.0.0.1:7401")
    return host.strip("[]"), int(port)


def text(value: object) -> str:
    """Something to read."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a string of printable characters, and not empty")
    return value


def address(value: object) -> str:
    """HOST:PORT."""
    written = text(value)
    split_address(written)
    return written


def loopback(value: object) -> str:
    """HOST:PORT of this machine alone."""
    written = text(value)
    host, _ = split_address(written)
    if host != "localhost":
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = False
        if not local:
            raise ValueError("must be a loopback address: what is served here has no TLS")
    return written


def name(value: object) -> str:
    """A name that people read."""
    written = text(value)
    if len(written) > limits.NAME_CHARACTERS_MAX:
        raise ValueError(f"must be at most {limits.NAME_CHARACTERS_MAX} characters")
    return written


def by(check: Callable[[str], str]) -> Callable[[object], str]:
    """One of the core's checks as a check here."""

    def checked(value: object) -> str:
        try:
            return check(text(value))
        except HuyingError as error:
            raise ValueError(error.detail.partition(": ")[2]) from None

    return checked


def one_of(*words: str) -> Callable[[object], str]:
    """One of these words."""

    def checked(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return checked


def truth(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def web_address(value: object) -> str:
    """An http or https URL, without a query."""
    written = text(value)
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL, e.g. https://login.example/realm")
    return written.rstrip("/")


def web_origin(value: object) -> str:
    """Scheme, host and port alone, as a browser sends its Origin."""
    written = web_address(value)
    if urlsplit(written).path or "@" in written:
        raise ValueError("must be scheme and host alone, e.g. https://desk.example")
    return written.lower()


def window(value: object) -> str:
    """Daily hours, as 22:00-06:00."""
    written = text(value)
    OfflineWindow.parse(written)
    return written


def template_names(value: object) -> str:
    """all, none, or names of templates."""
    written = text(value).replace(" ", "")
    if not _TEMPLATE_NAMES.fullmatch(written):
        raise ValueError("must be all, none, or names of templates with commas between them")
    return written


def seconds(value: object) -> float:
    """A number of seconds, with a fraction."""
    number = 0.0
    if isinstance(value, str):
        number = float(value) if _DECIMAL.fullmatch(value) else 0.0
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not 0 < number <= SECONDS_MAX:
        raise ValueError(f"must be a number of seconds over 0 and at most {SECONDS_MAX:.0f}")
    return number


def _whole(value: object, low: int, high: int, wanted: str) -> int:
    """A whole number from `low`, which is 0 or more, to `high`."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        number = int(value)
    if not low <= number <= high:
        raise ValueError(f"must be {wanted}")
    return number


def minutes(value: object) -> int:
    """A number of minutes."""
    return _whole(value, 1, MINUTES_MAX, f"a whole number of minutes from 1 to {MINUTES_MAX}")


def hour(value: object) -> int:
    """An hour of the day."""
    return _whole(value, 0, 23, "an hour from 0 to 23")


def days(value: object) -> int:
    """How long something is kept."""
    return _whole(value, 0, DAYS_MAX, f"a whole number of days, at most {DAYS_MAX}; 0: keep")


def provision_days(value: object) -> int:
    """How long a provision is kept."""
    number = days(value)
    if 0 < number < limits.PROVISION_KEPT_DAYS_MIN:
        raise ValueError(
            f"must be 0 or at least {limits.PROVISION_KEPT_DAYS_MIN} days:"
            " what was provided to whom is kept for three years"
        )
    return number
