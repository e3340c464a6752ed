"""What a report may be chosen from: the matters on the big tiles, and the person's grids.

The matters are what this village reports, most frequent first, filled up with the seven classes of
a matter list (事项清单). A county's own table has other words, so any short text is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from huying.node.store.ledger_schema import EVENTS
from huying.node.store.reader import Reader
from huying.node.web.access.people import Person
from huying.node.web.access.scope import covers
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["CLASSES", "Grid", "Matter", "grids_of", "icon_of", "matters_of"]

TILES_MAX: Final = 9  # three rows of three: no scrolling on a handset
_GRIDS_MAX: Final = 200
# The seven classes, as a village has them until it reported something: value, English, icon.
CLASSES: Final[tuple[tuple[str, str, str], ...]] = (
    ("环境卫生", "rubbish, dirt", "bin"),
    ("公共设施", "roads, lamps, pipes", "lamp"),
    ("安全隐患", "danger", "warning"),
    ("矛盾纠纷", "disputes", "people"),
    ("民生服务", "help for people", "heart"),
    ("治安秩序", "order, noise", "shield"),
    ("突发事件", "sudden events", "bolt"),
)
# By what a matter's name holds, in its own order: the first that fits.
_ICONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("noise", ("noise", "噪", "扰民", "音")),
    ("car", ("driveway", "parking", "vehicle", "taxi", "traffic", "停车", "车", "交通")),
    ("drop", ("water", "sewer", "plumbing", "水", "渠", "井", "管网", "排污")),
    ("heat", ("heat", "heating", "供热", "供暖", "取暖", "燃气")),
    ("bin", ("collection", "rubbish", "waste", "sanitary", "dirty", "litter", "垃圾", "卫生")),
    ("lamp", ("light", "lamp", "electric", "灯", "电", "设施")),
    ("road", ("street", "sidewalk", "road", "pothole", "路", "桥")),
    ("house", ("building", "construction", "房", "建", "宅")),
    ("tree", ("tree", "绿", "树", "林", "农", "秸秆")),
    ("animal", ("animal", "rodent", "dog", "犬", "狗", "畜", "禽", "动物")),
    ("bolt", ("突发", "应急", "汛", "灾", "emergency")),
    ("warning", ("隐患", "安全", "消防", "火", "danger", "hazard", "unsafe")),
    ("people", ("纠纷", "矛盾", "信访", "dispute")),
    ("shield", ("治安", "秩序", "违法", "police")),
    ("heart", ("民生", "救助", "帮", "老", "残", "低保", "homeless")),
)


@dataclass(frozen=True, slots=True)
class Matter:
    """One tile."""

    value: str  # what becomes the event's category
    english: str  # its name where the page is English
    icon: str  # a symbol of templates/report_icons.html


@dataclass(frozen=True, slots=True)
class Grid:
    """One grid that a person may report from."""

    code: str
    name: str


def icon_of(category: str) -> str:
    """The symbol of a matter, by the words in its name."""
    text = category.casefold()
    for icon, words in _ICONS:
        if any(word in text for word in words):
            return icon
    return "note"


def matters_of(reader: Reader, home: str) -> tuple[Matter, ...]:
    """The tiles of a village, those used most first."""
    query = (
        select(EVENTS.c.category)
        .where(EVENTS.c.home == home, EVENTS.c.kind == feed_pb2.KIND_PUT, EVENTS.c.category != "")
        .group_by(EVENTS.c.category)
        .order_by(func.count().desc(), EVENTS.c.category)
        .limit(TILES_MAX)
    )
    return _filled_up([str(row[0]) for row in reader.select(query)])


def _filled_up(used: Sequence[str]) -> tuple[Matter, ...]:
    known = {value: Matter(value, english, icon) for value, english, icon in CLASSES}
    found = {value: known.get(value) or Matter(value, value, icon_of(value)) for value in used}
    return tuple({**found, **{k: v for k, v in known.items() if k not in found}}.values())[
        :TILES_MAX
    ]


def grids_of(reader: Reader, home: str, person: Person) -> tuple[Grid, ...]:
    """The grids of a village that a person may report from, by code.

    A person who is bound to a grid has that one, whether or not the village has described it.
    """
    rows = reader.list_records(feed_pb2.RECORD_TYPE_GRID, home=home, limit=_GRIDS_MAX).rows
    described: Iterable[records_pb2.Grid] = (
        records_pb2.Grid.FromString(row.message) for row in rows
    )
    found = {
        one.code: Grid(one.code, one.name or _number(one.code))
        for one in described
        if one.code and covers(person.area, one.code)
    }
    if len(person.area) > len(home) and person.area not in found:
        found[person.area] = Grid(person.area, _number(person.area))
    return tuple(found[code] for code in sorted(found))


def _number(code: str) -> str:
    return f"{code[-3:]} 网格"
