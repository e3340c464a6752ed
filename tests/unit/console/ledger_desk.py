"""A village with two grids and a few households, for tests of its ledger's pages."""

from __future__ import annotations

from typing import Any

from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE

Record = tuple[feed_pb2.RecordType.ValueType, Any]
FIRST, SECOND = VILLAGE + "001", VILLAGE + "002"
ID_NUMBER = "370830195001011237"
PHONE = "13900004321"
HEALTH = "KANARI-HEALTH"


def append(served: ServedNetwork, *messages: Record) -> list[bytes]:
    """Write records at the village; their ids."""
    drafts = [
        api_pb2.Draft(kind=feed_pb2.KIND_PUT, type=type_, message=message.SerializeToString())
        for type_, message in messages
    ]
    receipts = served.client(VILLAGE).append(api_pb2.AppendRequest(drafts=drafts)).receipts
    return [receipt.record for receipt in receipts]


def household(number: str, grid: str = FIRST, **more: Any) -> Record:
    values: dict[str, Any] = {
        "grid": grid,
        "number": number,
        "head_name": f"户主{number}",
        "address": f"义桥村{number}号",
        "phone": PHONE,
        "resident_count": 1,
    }
    return feed_pb2.RECORD_TYPE_HOUSEHOLD, records_pb2.Household(**{**values, **more})


def resident(household_record: bytes, name: str, grid: str = FIRST, **more: Any) -> Record:
    values: dict[str, Any] = {
        "grid": grid,
        "household": household_record,
        "name": name,
        "sex": "女",
        "birth_date": "1950-01-01",
        "id_number": ID_NUMBER,
        "phone": PHONE,
        "key_population": "空巢老人",
        "health": HEALTH,
    }
    return feed_pb2.RECORD_TYPE_RESIDENT, records_pb2.Resident(**{**values, **more})


def grids(served: ServedNetwork) -> None:
    """The two grids."""
    append(
        served,
        *(
            (
                feed_pb2.RECORD_TYPE_GRID,
                records_pb2.Grid(code=code, name=name, type=records_pb2.GRID_TYPE_GENERAL),
            )
            for code, name in ((FIRST, "第一网格"), (SECOND, "第二网格"))
        ),
    )


def stored(served: ServedNetwork, type_: int, record: bytes) -> Any:
    """The record as it stands at the village."""
    row = served.readers[VILLAGE].get_record(type_, VILLAGE, record)
    assert row is not None
    classes: dict[int, Any] = {
        feed_pb2.RECORD_TYPE_HOUSEHOLD: records_pb2.Household,
        feed_pb2.RECORD_TYPE_RESIDENT: records_pb2.Resident,
        feed_pb2.RECORD_TYPE_VISIT: records_pb2.Visit,
    }
    return classes[type_].FromString(row.message)
