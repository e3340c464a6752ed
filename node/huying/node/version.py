"""Which version of the program this is."""

from __future__ import annotations

__all__ = ["own_version"]


def own_version() -> str:
    """The version that is installed here; "unknown" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("huying")
    except PackageNotFoundError:
        return "unknown"
