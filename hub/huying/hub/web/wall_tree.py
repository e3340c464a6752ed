"""The nodes of the tree as the wall shows them: how far each is behind, in words and as a colour.

What is not known is unknown: grey, never green. Nothing that a node has not said itself counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from huying.common.codes import Level, ancestors, level, parse_origin
from huying.common.errors import HuyingError
from huying.wire.v1 import api_pb2

__all__ = ["Lag", "NodeOnWall", "branch_counts", "tree"]

FRESH_SECONDS: Final = 120.0  # two pulses: nothing is behind
FAR_SECONDS: Final = 900.0
# States of a feed in which something is wrong with it, whatever its lag.
_BAD: Final = {
    "forked": ("分叉", "forked"),
    "replayed": ("重放旧头", "replayed"),
    "withheld": ("扣留", "withheld"),
    "tail_cut": ("尾部被截", "tail cut"),
    "revoked": ("已吊销", "revoked"),
}


class Lag(enum.Enum):
    """The colour; the values are classes of the page."""

    FRESH = "fresh-node"
    BEHIND = "behind-node"
    FAR = "far-node"
    UNKNOWN = "unknown-node"


@dataclass(frozen=True, slots=True)
class NodeOnWall:
    """One node."""

    code: str
    name: str
    lag: Lag
    seconds: float | None  # None: unknown
    trouble: tuple[str, str] | None  # Chinese, English: what is wrong with its feed
    below: tuple[NodeOnWall, ...] = ()


def tree(
    own: str,
    feeds: Iterable[api_pb2.FeedStatus],
    names: Mapping[str, str],
    codes: Iterable[str],
    *,
    is_up: bool,
) -> NodeOnWall:
    """The node `own` and all below it.

    `codes`: of the nodes that the roster knows, whether or not a feed of theirs is here. Where the
    node itself does not answer, nothing is known of anybody.
    """
    newest: dict[str, tuple[int, api_pb2.FeedStatus]] = {}
    for feed in feeds:
        try:
            origin = parse_origin(feed.origin)
        except HuyingError:
            continue
        if origin.code not in newest or newest[origin.code][0] < origin.epoch:
            newest[origin.code] = origin.epoch, feed
    found = {code: _node(code, newest.get(code), names, is_up=is_up) for code in {*codes, *newest}}
    found[own] = NodeOnWall(
        own, names.get(own, own), Lag.FRESH if is_up else Lag.UNKNOWN, 0.0 if is_up else None, None
    )
    return _grown(own, found)


def _node(
    code: str,
    held: tuple[int, api_pb2.FeedStatus] | None,
    names: Mapping[str, str],
    *,
    is_up: bool,
) -> NodeOnWall:
    name = names.get(code, code)
    if held is None or not is_up:
        return NodeOnWall(code, name, Lag.UNKNOWN, None, None)
    feed = held[1]
    trouble = _BAD.get(feed.state)
    seconds = feed.lag_seconds if feed.lag_known else None
    if trouble is not None:
        return NodeOnWall(code, name, Lag.FAR, seconds, trouble)
    if seconds is None:
        return NodeOnWall(code, name, Lag.UNKNOWN, None, None)
    far = seconds > FAR_SECONDS
    lag = Lag.FRESH if seconds <= FRESH_SECONDS else Lag.FAR if far else Lag.BEHIND
    return NodeOnWall(code, name, lag, seconds, None)


def _grown(own: str, found: Mapping[str, NodeOnWall]) -> NodeOnWall:
    """Each node below the nearest one above it that is known."""
    children: dict[str, list[str]] = {}
    for code in sorted(found):
        if code == own:
            continue
        above = next((one for one in ancestors(code) if one in found), None)
        if above is not None and level(code) > Level.COUNTY:
            children.setdefault(above, []).append(code)

    def grow(code: str) -> NodeOnWall:
        return replace(found[code], below=tuple(grow(one) for one in children.get(code, ())))

    return grow(own)


def branch_counts(node: NodeOnWall) -> dict[Lag, int]:
    """How many of the nodes below stand where."""
    counts = dict.fromkeys(Lag, 0)
    for child in node.below:
        counts[child.lag] += 1
        for lag, count in branch_counts(child).items():
            counts[lag] += count
    return counts
