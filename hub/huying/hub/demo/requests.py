"""A real stream of service requests, replayed as the events of villages.

The stream is one evening of a large city's 311 line (data/README.md). Categories, texts and
channels are translated (data/terms_zh.csv), the time each matter took is as it was; the times
are shifted to now with their order kept. The caller's name and number, which the data rightly
lacks, are generated.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from io import StringIO
from random import Random
from typing import Final, NamedTuple

from huying.common.limits import NAME_CHARACTERS_MAX
from huying.common.masking import mask
from huying.hub.demo.people import fake_name, fake_phone
from huying.wire.v1 import calls_pb2, records_pb2

__all__ = ["Request", "draft_of", "event_of", "read_requests", "settled", "shift_micros"]

_MICROS: Final = 1_000_000
# Who would answer for the agency's matters in a county.
_DEPARTMENTS: Final = {
    "NYPD": "公安局",
    "HPD": "住房和城乡建设局",
    "DSNY": "环境卫生服务中心",
    "DOT": "交通运输局",
    "DEP": "水务局",
    "DOB": "综合行政执法局",
    "TLC": "交通运输局",
    "EDC": "发展和改革局",
    "DOHMH": "卫生健康局",
    "DCA": "市场监督管理局",
    "DPR": "园林绿化服务中心",
}
# Noise, parking and rubbish a town settles itself.
_TOWN_AGENCIES: Final = frozenset({"NYPD", "DSNY"})


class Request(NamedTuple):
    """One request as it was made. Times are microseconds, the city's wall clock read as UTC."""

    created_micros: int
    closed_micros: int  # 0 where it was open when the sample was published
    agency: str
    category: str
    descriptor: str
    place: str  # kind of place
    street: str
    channel: str

    @property
    def department(self) -> str:
        """The county department that would lead."""
        return _DEPARTMENTS.get(self.agency, "综合行政执法局")

    @property
    def beyond_town(self) -> bool:
        """Whether a town would call the county for it."""
        return self.agency not in _TOWN_AGENCIES


def _micros(text: str) -> int:
    if not text:
        return 0
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * _MICROS


def read_requests() -> list[Request]:
    """All 1,000, oldest first, in Chinese."""
    terms = {row["english"]: row["chinese"] for row in _rows("terms_zh.csv")}
    requests = [
        Request(
            created_micros=_micros(row["created"]),
            closed_micros=_micros(row["closed"]),
            agency=row["agency"],
            category=terms[row["category"]],
            descriptor=terms[row["descriptor"]],
            place=terms[row["place"]] if row["place"] else "",
            street=row["street"],
            channel=terms[row["channel"]],
        )
        for row in _rows("requests.csv")
    ]
    return sorted(requests, key=lambda request: request.created_micros)


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files("huying.hub.demo") / "data" / name
    with StringIO(source.read_text(encoding="utf-8")) as file:
        return list(csv.DictReader(file))


def shift_micros(requests: Sequence[Request], now_micros: int) -> int:
    """What to add to every time so that the newest request was made just now."""
    return now_micros - max(request.created_micros for request in requests)


def event_of(
    request: Request, *, grid: str, shift: int, rng: Random, canary: str = ""
) -> records_pb2.Event:
    """The event as the village first reports it.

    The caller's number is said in the text, as people do; the public text has it masked. `canary`
    is planted in the village-only text.
    """
    phone = fake_phone(rng)
    reporter = fake_name(rng)
    place = f"，地点：{request.place}" if request.place else ""
    told = f"反映：{request.category}（{request.descriptor}）{place}。回电{phone}。"
    return records_pb2.Event(
        category=request.category[:NAME_CHARACTERS_MAX],
        descriptor=request.descriptor[:NAME_CHARACTERS_MAX],
        grid=grid,
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=request.created_micros + shift,
        description_public=mask(told).text,
        source=request.channel,
        address=request.street[:NAME_CHARACTERS_MAX],
        description_full=f"{told}来电人{reporter}，住{request.street}附近。{canary}",
        reporter_name=reporter + canary,
        reporter_phone=phone,
    )


def settled(
    event: records_pb2.Event, request: Request, *, shift: int, now_micros: int
) -> records_pb2.Event:
    """The event once it is settled: when the request was, but not in the future."""
    after = records_pb2.Event()
    after.CopyFrom(event)
    after.status = records_pb2.EVENT_STATUS_SETTLED
    closed = request.closed_micros + shift if request.closed_micros else now_micros
    after.settled_micros = max(event.reported_micros, min(closed, now_micros))
    return after


def draft_of(
    event: records_pb2.Event, record: bytes, *, village: str, sequencer: str, actor: str = "镇值班"
) -> calls_pb2.CallDraft:
    """The town's call about a village's event: the least it needs, and a reference."""
    return calls_pb2.CallDraft(
        sequencer=sequencer,
        category=event.category,
        title=f"{event.category}:{event.descriptor}"[:NAME_CHARACTERS_MAX],
        description=event.description_public,
        grid=event.grid,
        village=village,
        event=record,
        actor=actor,
    )
