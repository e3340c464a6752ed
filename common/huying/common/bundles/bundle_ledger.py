"""What a node remembers of the bundles it wrote and read, neighbour by neighbour.

The numbers and acknowledged sizes decide what the next bundle holds; the SHA-256 of what was
imported tells a bundle that comes twice. All of it changes in the transaction of the export or the
import that it speaks of, so a bundle never counts without its entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["BundleLedger", "BundlePeer", "SentBundle"]


@dataclass(frozen=True, slots=True)
class BundlePeer:
    """Where one neighbour stands. Numbers count from 1; 0 is none."""

    code: str
    exported: int = 0  # newest bundle written for it
    confirmed: int = 0  # newest of them that it is known to have imported
    acked: Mapping[str, int] = field(default_factory=dict)  # sizes it holds, by origin
    imported: int = 0  # newest of its bundles that was imported here
    wants: Sequence[bytes] = ()  # what its newest bundle or receipt asks for: Frame messages


@dataclass(frozen=True, slots=True)
class SentBundle:
    """A bundle that was written, and what it takes its recipient to."""

    code: str  # recipient
    number: int
    digest: bytes  # SHA-256 of the file
    secret: bytes  # 16 bytes; the short code shows that it was read
    sizes: Mapping[str, int]  # by origin: entries held once it is imported


class BundleLedger(Protocol):
    """Durable; every method that writes is called inside the store's transaction."""

    def bundle_peer(self, code: str) -> BundlePeer:
        """Where the neighbour stands; as nothing happened yet where it is not known."""
        ...

    def put_bundle_peer(self, peer: BundlePeer) -> None:
        """Replace that."""
        ...

    def sent_bundles(self, code: str) -> list[SentBundle]:
        """The newest bundles written for the neighbour, newest first."""
        ...

    def add_sent_bundle(self, bundle: SentBundle, now: float) -> None:
        """Remember a bundle written at `now` (unix seconds); older ones may be forgotten."""
        ...

    def imported_bundle(self, code: str, number: int) -> bytes | None:
        """SHA-256 of the neighbour's bundle of that number, if it was imported here."""
        ...

    def add_imported_bundle(self, code: str, number: int, digest: bytes, now: float) -> None:
        """Remember that a bundle of the neighbour was imported at `now` (unix seconds)."""
        ...
