"""Policies and calendars: shown, set as the next version, and their history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from huying.common.codes import ancestors, parse_code
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import VERSIONS_MAX
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.policy_checks import Fault, check_calendar, check_policy
from huying.common.records.record_keys import keyed
from huying.node.admin import AdminNode
from huying.node.store.policy_queries import VersionPlace
from huying.wire.v1 import feed_pb2, policy_desk_pb2, policy_pb2

__all__ = [
    "calendar_history",
    "policy_history",
    "set_calendar",
    "set_policy",
    "show_calendar",
    "show_policy",
]

M = TypeVar("M", policy_pb2.Policy, policy_pb2.Calendar)


async def show_policy(
    node: AdminNode, request: policy_desk_pb2.ShowVersionRequest
) -> policy_desk_pb2.ShowPolicyResponse:
    """One version, or the one in force. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""

    def read() -> policy_desk_pb2.ShowPolicyResponse:
        of = _whose(request.of, node, node.reader.policy_places)
        newest = node.reader.policy(of)
        policy = newest
        if request.HasField("version"):
            policy = shipped_policy()
            if request.version:
                policy = _exactly(request.version, node.reader.policy(of, request.version))
        return policy_desk_pb2.ShowPolicyResponse(of=of, policy=policy, in_force=newest.version)

    return await asyncio.to_thread(read)


async def show_calendar(
    node: AdminNode, request: policy_desk_pb2.ShowVersionRequest
) -> policy_desk_pb2.ShowCalendarResponse:
    """As `show_policy`."""

    def read() -> policy_desk_pb2.ShowCalendarResponse:
        of = _whose(request.of, node, node.reader.calendar_places)
        newest = node.reader.calendar(of)
        calendar = newest
        if request.HasField("version"):
            calendar = shipped_calendar()
            if request.version:
                calendar = _exactly(request.version, node.reader.calendar(of, request.version))
        return policy_desk_pb2.ShowCalendarResponse(
            of=of, calendar=calendar, in_force=newest.version
        )

    return await asyncio.to_thread(read)


async def set_policy(
    node: AdminNode, request: policy_desk_pb2.SetPolicyRequest
) -> policy_desk_pb2.SetVersionResponse:
    """Write the next version of the node's own policy; of two who set it at once, one does.

    Raises HuyingError(INVALID_ARGUMENT) naming the field, or as the engine refuses to write.
    """
    _refuse(check_policy(request.policy))
    record_type = feed_pb2.RECORD_TYPE_POLICY
    return await _set(node, record_type, request.policy, node.reader.policy)


async def set_calendar(
    node: AdminNode, request: policy_desk_pb2.SetCalendarRequest
) -> policy_desk_pb2.SetVersionResponse:
    """As `set_policy`."""
    _refuse(check_calendar(request.calendar))
    record_type = feed_pb2.RECORD_TYPE_CALENDAR
    return await _set(node, record_type, request.calendar, node.reader.calendar)


async def policy_history(
    node: AdminNode, request: policy_desk_pb2.VersionHistoryRequest
) -> policy_desk_pb2.VersionHistoryResponse:
    """The versions that were written. Raises HuyingError(INVALID_ARGUMENT)."""
    return await asyncio.to_thread(_history, node, request, node.reader.policy_places)


async def calendar_history(
    node: AdminNode, request: policy_desk_pb2.VersionHistoryRequest
) -> policy_desk_pb2.VersionHistoryResponse:
    """As `policy_history`."""
    return await asyncio.to_thread(_history, node, request, node.reader.calendar_places)


_Places = Callable[[str, int], list[VersionPlace]]


def _whose(wanted: str, node: AdminNode, places: _Places) -> str:
    """The code that is asked for, or the nearest on the way up that has set one; else this node."""
    here = node.config.node.code
    if wanted:
        return parse_code(wanted, "of")
    line = (here, *ancestors(here))
    return next((code for code in line if places(code, 1)), here)


def _exactly(version: int, found: M) -> M:
    if found.version != version:
        raise HuyingError(Code.NOT_FOUND, f"no version {version}; see the history")
    return found


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise HuyingError(Code.INVALID_ARGUMENT, "\n".join(map(str, faults)))


async def _set(
    node: AdminNode,
    record_type: int,
    message: M,
    in_force: Callable[[str, int | None], M],
) -> policy_desk_pb2.SetVersionResponse:
    code = node.config.node.code
    newest = await asyncio.to_thread(in_force, code, None)
    repeated = newest == message
    if message.version != newest.version + 1 and not repeated:
        wanted = newest.version + 1
        why = f"{message.version}, and {newest.version} is in force; the next one is {wanted}"
        raise HuyingError(Code.INVALID_ARGUMENT, f"version: {why}")
    # Both ids follow from the version: of two who write one at once the engine takes the first, and
    # tells the second where that stands.
    name = feed_pb2.RecordType.Name(feed_pb2.RecordType.ValueType(record_type)).lower()
    draft = DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=record_type,
        message=message,
        record=keyed(name, code, message.version),
        request_id=keyed(f"{name}-set", code, message.version),
    )
    (receipt,) = await node.runtime.append((draft,))
    if receipt.repeated and not repeated:
        newest = await asyncio.to_thread(in_force, code, message.version)
        if newest != message:
            why = f"{message.version} was set by somebody else just now; read it, then set the next"
            raise HuyingError(Code.INVALID_ARGUMENT, f"version: {why}")
    return policy_desk_pb2.SetVersionResponse(
        version=message.version,
        origin=receipt.origin,
        index=receipt.index,
        repeated_before=receipt.repeated,
    )


def _history(
    node: AdminNode, request: policy_desk_pb2.VersionHistoryRequest, places: _Places
) -> policy_desk_pb2.VersionHistoryResponse:
    of = _whose(request.of, node, places)
    found = places(of, min(request.limit or VERSIONS_MAX, VERSIONS_MAX))
    return policy_desk_pb2.VersionHistoryResponse(
        of=of,
        versions=[policy_desk_pb2.VersionEntry(**one._asdict()) for one in found],
    )
