"""Where the operations pages get their figures: the node's, as a scrape would find them.

The newest answer is kept, so that a page says of a node that is gone what was so, and when. Where
there is none, the database tells how much is held, and nothing of how fresh it is: what nobody
knows stays unknown, and is never shown as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.store.reader import Reader
from huying.node.web.page import Ask
from huying.wire.v1 import admin_pb2

__all__ = [
    "Figures",
    "Look",
    "history",
    "look",
    "names_of",
    "origin_at",
    "place_of",
    "sees_feed",
]

_PREFIX = "huying_"


class Figures:
    """Gauges and counters by name and labels; what has no value now is None."""

    def __init__(self, series: Iterable[admin_pb2.FigureSeries]) -> None:
        self._labels: dict[str, tuple[str, ...]] = {}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        for one in series:
            width = len(one.labels)
            keys = zip(*[iter(one.label_values)] * width, strict=True) if width else [()]
            self._labels[one.name] = tuple(one.labels)
            self._values[one.name] = dict(zip(keys, one.values, strict=True))

    def get(self, name: str, **labels: str) -> float | None:
        """The value of a figure; `name` is without the prefix."""
        found = self._values.get(_PREFIX + name)
        if found is None:
            return None
        return found.get(tuple(labels.get(label, "") for label in self._labels[_PREFIX + name]))

    def all(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Every (labels, value) of a name, by labels."""
        found = self._values.get(_PREFIX + name, {})
        labels = self._labels.get(_PREFIX + name, ())
        return [(dict(zip(labels, key, strict=True)), found[key]) for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the node. `at` is when it was taken, unix seconds; 0: just the database spoke."""

    at: float
    is_live: bool  # the node answered now
    state: str  # of the node
    feeds: tuple[admin_pb2.FigureFeed, ...]
    figures: Figures

    @property
    def is_stored(self) -> bool:
        """Whether nothing but the database is known."""
        return self.at == 0.0

    def feed(self, origin: str) -> admin_pb2.FigureFeed | None:
        """What is known of a feed."""
        return next((one for one in self.feeds if one.origin == origin), None)


async def look(ask: Ask) -> Look:
    """The node as it is now; else as it was when it last answered; else as its database is."""
    request = admin_pb2.ShowFiguresRequest()
    try:
        found = await ask.node.administer("ShowFigures", request)
    except HuyingError as error:
        if error.code not in (Code.UNREACHABLE, Code.DRAINING):
            raise
        kept = ask.site.last_figures
        if kept is None:
            return _look(ask, await ask.node.read(_stored), is_live=False)
        return _look(ask, kept, is_live=False)
    ask.site.last_figures = found
    return _look(ask, found, is_live=True)


def _look(ask: Ask, found: admin_pb2.ShowFiguresResponse, *, is_live: bool) -> Look:
    feeds = tuple(one for one in found.feeds if sees_feed(ask, one.origin))
    return Look(found.observed_seconds, is_live, found.state, feeds, Figures(found.series))


def _stored(reader: Reader) -> admin_pb2.ShowFiguresResponse:
    """What the database says: sizes, and what is missing; the rest nobody knows."""
    response = admin_pb2.ShowFiguresResponse(state="down")
    names = ("feed_size", "cosigned_size", "quarantined_entries", "missing_openings")
    found = {name: response.series.add(name=_PREFIX + name, labels=["feed"]) for name in names}
    for feed in reader.feeds():
        origin = parse_origin(feed.origin)
        label = f"{origin.code}/e{origin.epoch}"
        state = "forked" if feed.frozen else "unknown"
        response.feeds.add(origin=feed.origin, label=label, state=state)
        cosigned = max(
            (point.size for point in (feed.witnessed, feed.cosigned) if point is not None),
            default=0,
        )
        for name, value in (
            ("feed_size", feed.size),
            ("cosigned_size", cosigned),
            ("quarantined_entries", feed.quarantined),
            ("missing_openings", len(reader.missing(feed.feed_id))),
        ):
            found[name].label_values.append(label)
            found[name].values.append(value)
    return response


async def history(
    ask: Ask, points_max: int, origins: tuple[str, ...] = ()
) -> admin_pb2.ShowHistoryResponse | None:
    """Lag and disk over the last day; None while the node is away."""
    request = admin_pb2.ShowHistoryRequest(points_max=points_max, origins=origins)
    try:
        found: admin_pb2.ShowHistoryResponse = await ask.node.administer("ShowHistory", request)
    except HuyingError as error:
        if error.code not in (Code.UNREACHABLE, Code.DRAINING):
            raise
        return None
    return found


async def names_of(ask: Ask, seen: Look) -> dict[str, str]:
    """Divisions by code: as they introduced themselves, else as the roster names them."""
    rostered = {parse_origin(one.origin).code: one.name for one in seen.feeds if one.name}
    return {**rostered, **await ask.node.names()}


def sees_feed(ask: Ask, origin: str) -> bool:
    """Whether a feed is the person's to look at."""
    try:
        return ask.scope.sees_record(parse_origin(origin).code)
    except HuyingError:
        return False


def place_of(origin: str) -> dict[str, str]:
    """The parts of a feed's address: `code` and `epoch`."""
    parsed = parse_origin(origin)
    return {"code": parsed.code, "epoch": f"e{parsed.epoch}"}


async def origin_at(ask: Ask) -> str:
    """The origin that the page's address names, where a feed of it is here.

    Raises HuyingError(NOT_FOUND) for one that is not, or is not the person's to look at.
    """
    code, epoch = ask.path("code"), ask.path("epoch")
    origins = await ask.node.read(lambda reader: [feed.origin for feed in reader.feeds()])
    for origin in origins:
        if origin.endswith(f"/{code}/{epoch}") and sees_feed(ask, origin):
            return origin
    raise HuyingError(Code.NOT_FOUND, "there is no such feed here, or it is not yours to see")
