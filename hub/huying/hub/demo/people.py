"""Generated grids, households and residents of a village: census-shaped, and nobody real.

Sizes follow the census table in data/population_distributions.json; ages and groups are rough.
Every household and resident says `generated`, every name ends in 生成, ID numbers have a wrong
check digit (GB 11643), and phone numbers begin with 160. The same seed gives the same village.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Final, NamedTuple

from google.protobuf.message import Message

from huying.common.effects import DraftEntry
from huying.common.limits import RECORD_ID_BYTES
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = [
    "GRID_HOUSEHOLDS",
    "fake_id_number",
    "fake_name",
    "fake_phone",
    "grid_codes",
    "village_drafts",
]

GRID_HOUSEHOLDS: Final = 250  # 200 to 300 by rule; the demo passes less to have several grids
_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "一二三四五六七八九十甲乙丙丁"
_MARK: Final = "生成"
_DAYS_PER_YEAR: Final = 365.25
_CHECK_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS: Final = "10X98765432"
# Group, share of those it can apply to, and the ages it applies to.
_GROUPS: Final = (
    ("空巢老人", 0.20, range(65, 120)),
    ("残疾人", 0.05, range(120)),
    ("低保", 0.03, range(120)),
    ("4050人员", 0.02, range(40, 60)),
    ("社区矫正", 0.002, range(18, 70)),
    ("刑满释放", 0.003, range(18, 70)),
)
_CONDITIONS: Final = ("高血压", "糖尿病", "冠心病", "慢性支气管炎")


class _Person(NamedTuple):
    name: str
    sex: str
    born: date
    age_years: int


def fake_name(rng: Random) -> str:
    """A name that says that it is generated."""
    return rng.choice(_SURNAMES) + rng.choice(_GIVEN) + rng.choice(_GIVEN) + _MARK


def fake_phone(rng: Random) -> str:
    """Eleven digits shaped like a mobile number."""
    return f"160{rng.randrange(10**8):08}"


def fake_id_number(rng: Random, county: str, born: date, sex: str) -> str:
    """Eighteen characters shaped like a resident ID number (GB 11643), with a wrong check digit."""
    order = rng.randrange(500) * 2 + (1 if sex == "男" else 0)
    body = f"{county[:6]}{born:%Y%m%d}{order:03}"
    weighted = zip(body, _CHECK_WEIGHTS, strict=True)
    right = _CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in weighted) % 11]
    return body + rng.choice([one for one in _CHECK_CHARACTERS if one != right])


@lru_cache(maxsize=1)
def _household_sizes() -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Sizes and their shares, by the census of 2010; ten and more count as ten."""
    source = resources.files("huying.hub.demo") / "data" / "population_distributions.json"
    table = json.loads(source.read_text(encoding="utf-8"))[
        "household_size_2010_census_national_pct"
    ]
    shares = {int(size.rstrip("+")): share for size, share in table.items() if size != "source"}
    return tuple(shares), tuple(shares.values())


def grid_codes(village: str, households: int, grid_households: int = GRID_HOUSEHOLDS) -> list[str]:
    """The codes of as many grids as the households need, at least one."""
    count = max(1, round(households / grid_households))
    return [f"{village}{number:03}" for number in range(1, count + 1)]


def village_drafts(
    village: str,
    *,
    households: int,
    seed: int,
    today: date,
    grid_households: int = GRID_HOUSEHOLDS,
    canary: str = "",
) -> Iterator[DraftEntry]:
    """The grids of the village, a worker for each, then every household with its residents.

    `canary` is planted in the free text of every village-only field, for tests that search other
    nodes for it.
    """
    rng = Random(f"{village}/{seed}")
    grids = grid_codes(village, households, grid_households)
    for number, grid in enumerate(grids):
        share = households // len(grids) + (number < households % len(grids))
        yield _draft(
            rng,
            feed_pb2.RECORD_TYPE_GRID,
            records_pb2.Grid(
                code=grid,
                name=f"第{number + 1}网格",
                type=records_pb2.GRID_TYPE_GENERAL,
                grid_level=3,
                household_count=share,
                valid_from=f"{today.year}-01-01",
            ),
        )
        born = _birthday(rng, today, rng.randint(25, 60))
        yield _draft(
            rng,
            feed_pb2.RECORD_TYPE_GRID_WORKER,
            records_pb2.GridWorker(
                grid=grid,
                role=records_pb2.GRID_ROLE_WORKER,
                name=fake_name(rng),
                phone=fake_phone(rng),
                id_number=_marked_id(fake_id_number(rng, village, born, "女"), canary),
            ),
        )
    for number in range(households):
        yield from _household(rng, grids[number % len(grids)], number + 1, today, canary)


def _household(
    rng: Random, grid: str, number: int, today: date, canary: str
) -> Iterator[DraftEntry]:
    sizes, shares = _household_sizes()
    people = list(_family(rng, rng.choices(sizes, shares)[0], today))
    household = _draft(
        rng,
        feed_pb2.RECORD_TYPE_HOUSEHOLD,
        records_pb2.Household(
            grid=grid,
            resident_count=len(people),
            number=f"{number:04}{canary}",
            address=f"示例路{number}号{canary}",
            head_name=people[0].name + canary,
            phone=fake_phone(rng),
            generated=True,
        ),
    )
    yield household
    for person in people:
        groups = [
            name
            for name, share, ages in _GROUPS
            if person.age_years in ages and rng.random() < share
        ]
        ill = person.age_years >= 60 and rng.random() < 0.4
        yield _draft(
            rng,
            feed_pb2.RECORD_TYPE_RESIDENT,
            records_pb2.Resident(
                grid=grid,
                household=household.record,
                name=person.name + canary,
                birth_date=person.born.isoformat(),
                sex=person.sex,
                id_number=_marked_id(fake_id_number(rng, grid, person.born, person.sex), canary),
                phone=fake_phone(rng) if person.age_years >= 14 else "",
                key_population="、".join(groups) + canary if groups else "",
                health=rng.choice(_CONDITIONS) + canary if ill else "",
                generated=True,
            ),
        )


def _family(rng: Random, size: int, today: date) -> Iterator[_Person]:
    """A head, a spouse, then children and parents."""
    head_age = min(95, max(20, round(rng.gauss(52, 15))))
    surname = rng.choice(_SURNAMES)
    for place in range(size):
        if place < 2:
            age = max(20, head_age + (rng.randint(-5, 3) if place else 0))
            sex = "男" if place == 0 else "女"
        else:
            child = place % 2 == 0 or head_age > 70
            age = max(0, head_age - rng.randint(22, 34)) if child else head_age + 25
            sex = rng.choice("男女")
        own = place != 1
        name = (surname if own else rng.choice(_SURNAMES)) + rng.choice(_GIVEN) + rng.choice(_GIVEN)
        yield _Person(name + _MARK, sex, _birthday(rng, today, age), age)


def _birthday(rng: Random, today: date, age_years: int) -> date:
    return today - timedelta(days=int(age_years * _DAYS_PER_YEAR) + rng.randrange(360))


def _marked_id(number: str, canary: str) -> str:
    """An ID number with a canary of Latin letters and digits behind it, where it fits."""
    return (number + canary)[:32]


def _draft(rng: Random, record_type: int, message: Message) -> DraftEntry:
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=record_type,
        message=message,
        record=rng.randbytes(RECORD_ID_BYTES),
    )
