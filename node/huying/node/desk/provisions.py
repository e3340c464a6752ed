"""Disclosure on request at a desk: ask, decide, take back, list, show, look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select

from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.common.provisions.asker import AskProvision, RevealProvision
from huying.common.provisions.home import DecideProvision, WithdrawProvision
from huying.node import department_keys
from huying.node.admin import AdminNode
from huying.node.desk.provision_views import Now, Seen, heard_of, provision_view, subject_view
from huying.node.store.provision_queries import Provision
from huying.node.store.reader import Reader
from huying.node.store.schema import RECORDS
from huying.wire.v1 import calls_pb2
from huying.wire.v1 import provision_pb2 as wire

__all__ = [
    "decide_provision",
    "list_provisions",
    "open_provision",
    "request_provision",
    "show_provision",
    "withdraw_provision",
]

# What the program itself writes where a person's pseudonym stands.
_OF_PROGRAM: Final = ("rule:", "node:")
_VERDICTS: Final = (wire.PROVISION_VERDICT_APPROVED, wire.PROVISION_VERDICT_DENIED)


async def _seen(node: AdminNode) -> Seen:
    now: int = await node.runtime.operate(Now())
    return Seen(node.config.node.code, now, node.runtime.status())


async def _view(node: AdminNode, record: bytes) -> wire.ProvisionView:
    found = await _find(node, record)
    return await _full_view(node, found)


async def _full_view(node: AdminNode, found: Provision) -> wire.ProvisionView:
    seen = await _seen(node)
    view = provision_view(found, seen)
    if found.home == seen.own:
        await asyncio.to_thread(subject_view, node.reader, found, seen, view)
    return view


async def _find(node: AdminNode, record: bytes) -> Provision:
    if len(record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    found = await asyncio.to_thread(node.reader.get_provision, record)
    if found is None:
        raise HuyingError(Code.NOT_FOUND, f"no request {record.hex()} is known here")
    return found


def _refuse_elsewhere(node: AdminNode, code: str, what: str) -> None:
    own = node.config.node.code
    if code != own:
        raise HuyingError(Code.NOT_FOUND, f"{own} does not {what} this request: {code} does")


def _check_actor(actor: str) -> None:
    if not actor or actor.startswith(_OF_PROGRAM):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "actor: a person's pseudonym, which is written down; name one"
        )


# --- asking ----------------------------------------------------------------------------------


async def request_provision(
    node: AdminNode, request: wire.RequestProvisionRequest
) -> wire.ProvisionView:
    """Write the request; it travels to the home like any entry.

    Raises HuyingError: INVALID_ARGUMENT naming the field, NOT_FOUND for no such entry, call or
    department, NOT_ALONE, TYPE_NOT_ALLOWED, or as the engine refuses to write.
    """
    _check_actor(request.actor)
    key = await asyncio.to_thread(
        department_keys.public_key, node.config, request.department or "?"
    )
    own = node.config.node.code
    entry = request.entry
    if request.record:
        entry = await asyncio.to_thread(_newest, node.reader, request.record, own)
    caller = ""
    if request.call:
        call = await asyncio.to_thread(node.reader.get_call, request.call)
        if call is None:
            raise HuyingError(Code.NOT_FOUND, f"no call {request.call.hex()} is known here")
        caller = call[0].caller
    now: int = await node.runtime.operate(Now())
    expires = request.expires_micros or (now + request.lasts_micros if request.lasts_micros else 0)
    if not expires:
        raise HuyingError(Code.INVALID_ARGUMENT, "expires_micros: until when; there is no for ever")
    receipt = await node.runtime.operate(
        AskProvision(
            origin=entry.origin,
            index=entry.index,
            fields=tuple(dict.fromkeys(request.fields)),
            purpose=request.purpose,
            department=request.department,
            actor=request.actor,
            recipient_key=key,
            expires_micros=expires,
            call=request.call,
            caller=caller,
        )
    )
    return await _view(node, receipt.record)


def _newest(reader: Reader, record: bytes, own: str) -> calls_pb2.EntryRef:
    """Where the newest version of a record stands that another node wrote. Blocks.

    Raises HuyingError: NOT_FOUND, or INVALID_ARGUMENT where two nodes have a record of that id.
    """
    if len(record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    places = []
    for kind, table in RECORDS.items():
        query = select(table.c.home).where(table.c.record == record, table.c.home != own)
        for (home,) in reader.select(query):
            row = reader.get_record(kind, home, record)
            if row is not None:
                places.append(calls_pb2.EntryRef(origin=row.origin, index=row.index))
    if not places:
        raise HuyingError(Code.NOT_FOUND, f"ENTRY: no record {record.hex()} of another node here")
    if len(places) > 1:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "ENTRY: two records have this id; name the entry, ORIGIN#INDEX"
        )
    return places[0]


# --- deciding --------------------------------------------------------------------------------


async def decide_provision(
    node: AdminNode, request: wire.DecideProvisionRequest
) -> wire.ProvisionView:
    """Approve or deny. Raises HuyingError as `DecideProvision`, and INVALID_ARGUMENT."""
    _check_actor(request.actor)
    if request.verdict not in _VERDICTS:
        raise HuyingError(Code.INVALID_ARGUMENT, "verdict: APPROVED or DENIED")
    denied = request.verdict == wire.PROVISION_VERDICT_DENIED
    if denied != bool(request.reason):
        raise HuyingError(Code.INVALID_ARGUMENT, "reason: one of the list, where it is denied")
    found = await _find(node, request.record)
    _refuse_elsewhere(node, found.home, "decide")
    if found.decision is not None:
        raise HuyingError(Code.WRONG_STAGE, "this request was decided already; see disclosure show")
    place = found.origin, found.index
    await node.runtime.operate(
        DecideProvision(place, request.verdict, request.actor, request.reason, request.text)
    )
    return await _view(node, request.record)


async def withdraw_provision(
    node: AdminNode, request: wire.WithdrawProvisionRequest
) -> wire.ProvisionView:
    """Take an approval back. Raises HuyingError as `WithdrawProvision`, and INVALID_ARGUMENT."""
    _check_actor(request.actor)
    found = await _find(node, request.record)
    _refuse_elsewhere(node, found.home, "decide")
    decided = found.decision
    if decided is None or decided.message.verdict != wire.PROVISION_VERDICT_APPROVED:
        raise HuyingError(Code.WRONG_STAGE, "nothing was given; deny a request that waits")
    await node.runtime.operate(
        WithdrawProvision(
            (found.origin, found.index),
            (decided.origin, decided.index),
            request.actor,
            request.text,
        )
    )
    return await _view(node, request.record)


# --- looking ---------------------------------------------------------------------------------


async def list_provisions(
    node: AdminNode, request: wire.ListProvisionsRequest
) -> wire.ListProvisionsResponse:
    """Those that this node asked for or decides, newest first. Raises INVALID_ARGUMENT."""
    seen = await _seen(node)
    page = await asyncio.to_thread(
        node.reader.list_provisions,
        seen.own,
        waiting=request.waiting,
        since_micros=request.since_micros,
        limit=request.limit,
        page_token=request.page_token,
    )
    return wire.ListProvisionsResponse(
        provisions=[provision_view(one, seen) for one in page.rows],
        next_page_token=page.next_token,
    )


async def show_provision(node: AdminNode, request: wire.ShowProvisionRequest) -> wire.ProvisionView:
    """Everything about one; at the home also whose record it is. Raises HuyingError(NOT_FOUND)."""
    return await _view(node, request.record)


async def open_provision(
    node: AdminNode, request: wire.OpenProvisionRequest
) -> wire.OpenProvisionResponse:
    """The value, for one look of one person, which is written down first.

    Raises HuyingError as `RevealProvision`; WRONG_STAGE also while the home has not answered; KEY
    where the department's key is not here.
    """
    _check_actor(request.actor)
    found = await _find(node, request.record)
    _refuse_elsewhere(node, found.asker, "read the answer to")
    if request.department != found.request.department:
        raise HuyingError(Code.NOT_ENTITLED, "department: another one asked")
    if found.decision is None:
        heard = heard_of(node.runtime.status(), found.home)
        at = datetime.fromtimestamp(heard // 1_000_000, UTC)
        ago = f"last heard of at {at:%Y-%m-%d %H:%M} UTC" if heard else "never heard of"
        raise HuyingError(Code.WRONG_STAGE, f"{found.home} has not decided; it was {ago}")
    key = await asyncio.to_thread(department_keys.load_key, node.config, request.department)
    revealed, receipt = await node.runtime.operate(
        RevealProvision(
            (found.origin, found.index),
            (found.decision.origin, found.decision.index),
            request.department,
            request.actor,
            key,
        )
    )
    return wire.OpenProvisionResponse(
        record=revealed.record,
        record_type=revealed.record_type,
        fields=revealed.fields,
        message=revealed.message,
        expires_micros=revealed.expires_micros,
        receipt=calls_pb2.EntryRef(origin=receipt.origin, index=receipt.index),
    )
