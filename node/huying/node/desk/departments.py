"""The departments of this node: their records, and the keys that provisions are sealed to."""

from __future__ import annotations

import asyncio

from huying.common.effects import DraftEntry
from huying.common.records.record_keys import keyed
from huying.node import department_keys
from huying.node.admin import AdminNode
from huying.node.store.record_queries import RecordRow
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2
from huying.wire.v1 import provision_pb2 as wire

__all__ = ["add_department", "department_record", "list_departments"]


def department_record(name: str) -> bytes:
    """The record id of a department: its name's own, so that adding it again changes it."""
    return keyed("department", name)


async def add_department(
    node: AdminNode, request: wire.AddDepartmentRequest
) -> wire.DepartmentView:
    """Write the department's record, with its public key; the key is made where there is none.

    Raises HuyingError: INVALID_ARGUMENT naming the field, TYPE_NOT_ALLOWED at a village, KEY, or as
    the engine refuses to write.
    """
    message = policy_pb2.Department(name=request.name, duty_phone=request.duty_phone)
    draft = _draft(message)
    # The name is checked before a key is made for it.
    _check(node, message)
    message.hpke_key = await asyncio.to_thread(
        department_keys.public_key, node.config, request.name, create=True
    )
    (receipt,) = await node.runtime.append([draft])
    view = _view(node, node.config.node.code, message)
    view.place.CopyFrom(calls_pb2.EntryRef(origin=receipt.origin, index=receipt.index))
    return view


def _draft(message: policy_pb2.Department) -> DraftEntry:
    kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DEPARTMENT
    return DraftEntry(kind, type_, message, department_record(message.name))


def _check(node: AdminNode, message: policy_pb2.Department) -> None:
    from huying.common.records.registry import check_write

    kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DEPARTMENT
    check_write(type_, kind, message, node.config.node.code)


async def list_departments(
    node: AdminNode, _request: wire.ListDepartmentsRequest
) -> wire.ListDepartmentsResponse:
    """Every department that is known here, with the node it belongs to."""
    found = await asyncio.to_thread(node.reader.departments)
    response = wire.ListDepartmentsResponse()
    for row, message in found:
        view = _view(node, row.home, message)
        view.place.CopyFrom(_place(row))
        response.departments.append(view)
    return response


def _place(row: RecordRow) -> calls_pb2.EntryRef:
    return calls_pb2.EntryRef(origin=row.origin, index=row.index)


def _view(node: AdminNode, home: str, message: policy_pb2.Department) -> wire.DepartmentView:
    own = home == node.config.node.code
    return wire.DepartmentView(
        home=home,
        name=message.name,
        hpke_key=message.hpke_key,
        duty_phone=message.duty_phone,
        closed=message.closed,
        generated=message.generated,
        key_here=own and department_keys.key_file(node.config, message.name).exists(),
    )
