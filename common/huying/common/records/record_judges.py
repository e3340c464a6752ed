"""What a replicated record must not be: outside its home's region, or more than a database takes.

These judge what others wrote, and are tolerant: an empty field is one that is withheld, or not
filled, and neither is an error. What this node itself writes has the stricter
`huying.common.records.record_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.message import Message

from huying.common.codes import is_within, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.limits import INTEGER_MAX, RECORD_ID_BYTES
from huying.wire.v1 import (
    calls_pb2,
    census_pb2,
    events_pb2,
    evidence_pb2,
    hotline_pb2,
    provision_pb2,
    records_pb2,
    trust_pb2,
)

__all__ = ["Judge", "judge_of"]

# (message as far as it is visible, home's code) -> nothing, or HuyingError
Judge = Callable[[Any, str], None]

_GRID_CHARACTERS: Final = 15
_SHA256_BYTES: Final = 32


def judge_of(message_class: type[Message]) -> Judge:
    """What judges a type: HuyingError(WRONG_REGION or BAD_RECORD).

    A type without a region of its own has its numbers judged.
    """
    return _JUDGES.get(message_class.DESCRIPTOR.name, _judge_numbers)


def _wrong_region(field: str, home: str) -> HuyingError:
    return HuyingError(Code.WRONG_REGION, f"{field} lies outside the home {home}")


def _is_code(text: str) -> bool:
    try:
        parse_code(text)
    except HuyingError:
        return False
    return True


def _judge_grid(grid: str, home: str, field: str = "grid") -> None:
    if len(grid) != _GRID_CHARACTERS or not (grid.isascii() and grid.isdigit()):
        raise HuyingError(Code.BAD_RECORD, f"{field} is not {_GRID_CHARACTERS} digits")
    if not is_within(grid, home):
        raise _wrong_region(field, home)


def _judge_gridded(message: Any, home: str) -> None:
    if grid := message.grid:
        _judge_grid(grid, home)


def _judge_event(message: records_pb2.Event, home: str) -> None:
    if grid := message.grid:
        _judge_grid(grid, home)
    _judge_integers(message.reported_micros, message.settled_micros)


def _judge_integers(*numbers: int) -> None:
    if max(numbers) > INTEGER_MAX:
        raise HuyingError(Code.BAD_RECORD, f"a number is over {INTEGER_MAX}")


def _judge_id(value: bytes, field: str) -> None:
    if value and len(value) != RECORD_ID_BYTES:
        raise HuyingError(Code.BAD_RECORD, f"{field} is not {RECORD_ID_BYTES} bytes")


def _judge_division(message: records_pb2.Division, home: str) -> None:
    if message.code and message.code != home:
        raise _wrong_region("code", home)


def _judge_grid_record(message: records_pb2.Grid, home: str) -> None:
    if message.code:
        _judge_grid(message.code, home, "code")


def _judge_resident(message: records_pb2.Resident, home: str) -> None:
    _judge_gridded(message, home)
    _judge_id(message.household, "household")


def _judge_visit(message: records_pb2.Visit, home: str) -> None:
    _judge_gridded(message, home)
    _judge_id(message.household, "household")
    _judge_integers(message.visited_micros)


def _judge_evidence(message: evidence_pb2.Evidence, home: str) -> None:
    _judge_id(message.of, "of")
    if message.sha256 and len(message.sha256) != _SHA256_BYTES:
        raise HuyingError(Code.BAD_RECORD, f"sha256 is not {_SHA256_BYTES} bytes")
    _judge_numbers(message, home)


def _judge_member(message: trust_pb2.Member, home: str) -> None:
    code = message.code
    if code and (code == home or not _is_code(code) or not is_within(code, home)):
        raise HuyingError(Code.WRONG_REGION, f"a member of {home} must lie below it")


def _judge_call(message: calls_pb2.Call, home: str) -> None:
    sequencer, village = message.sequencer, message.village
    if sequencer and (
        sequencer == home or not _is_code(sequencer) or not is_within(home, sequencer)
    ):
        raise HuyingError(Code.WRONG_REGION, f"the sequencer of a call of {home} must be above it")
    if village and not (_is_code(village) and is_within(village, home)):
        raise _wrong_region("village", home)
    if message.grid:
        _judge_grid(message.grid, home)
    _judge_id(message.event, "event")
    _judge_integers(message.raised_micros)


def _judge_call_step(message: calls_pb2.CallStep, home: str) -> None:
    caller = message.caller
    if caller and not (_is_code(caller) and is_within(caller, home)):
        raise _wrong_region("caller", home)
    _judge_id(message.call, "call")
    _judge_integers(message.took.ref.index, message.dispatch.deadline_micros)


def _judge_region(field: str, code: str, home: str) -> None:
    if code and not (_is_code(code) and is_within(code, home)):
        raise _wrong_region(field, home)


def _judge_provision_request(message: provision_pb2.ProvisionRequest, home: str) -> None:
    _judge_region("home", message.home, home)
    _judge_numbers(message, home)


def _judge_question(message: census_pb2.Question, home: str) -> None:
    _judge_region("area", message.area, home)
    _judge_numbers(message, home)


def _judge_tally(message: census_pb2.Tally, home: str) -> None:
    if message.area and message.area != home:
        raise _wrong_region("area", home)
    _judge_numbers(message, home)


def _judge_order(message: hotline_pb2.Order, home: str) -> None:
    _judge_region("handler", message.handler, home)
    _judge_numbers(message, home)


def _judge_event_handling(message: events_pb2.EventHandling, home: str) -> None:
    if message.event_home == home:
        raise HuyingError(Code.WRONG_REGION, f"event_home must lie below the writer {home}")
    _judge_region("event_home", message.event_home, home)
    _judge_id(message.event, "event")
    _judge_numbers(message, home)


def _judge_numbers(message: Message, _home: str) -> None:
    """Every number fits a database; what a statement says is judged by its reaction."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else (value,):
            if isinstance(one, Message):
                _judge_numbers(one, _home)
            elif isinstance(one, int):
                _judge_integers(one)


_JUDGES: Final[Mapping[str, Judge]] = {
    "Division": _judge_division,
    "Grid": _judge_grid_record,
    "GridWorker": _judge_gridded,
    "Household": _judge_gridded,
    "Resident": _judge_resident,
    "Visit": _judge_visit,
    "Event": _judge_event,
    "Evidence": _judge_evidence,
    "Member": _judge_member,
    "Call": _judge_call,
    "CallStep": _judge_call_step,
    "ProvisionRequest": _judge_provision_request,
    "Question": _judge_question,
    "Tally": _judge_tally,
    "Order": _judge_order,
    "EventHandling": _judge_event_handling,
}
