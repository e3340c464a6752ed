"""Who is in the roster, who was invited, and joins that come by file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from huying.common.codes import is_within, parse_origin
from huying.common.errors import HuyingError
from huying.common.membership.roster import EpochStatus, Pin
from huying.node import tls
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["enrol_by_file", "show_roster"]


async def enrol_by_file(
    node: AdminNode, request: admin_pb2.EnrolByFileRequest
) -> admin_pb2.EnrolByFileResponse:
    """Judge a request that was brought. Raises HuyingError(JOIN_REFUSED), saying why."""
    response = await node.enrolment.get().by_file(request.request)
    return admin_pb2.EnrolByFileResponse(response=response)


async def show_roster(
    node: AdminNode, _request: admin_pb2.ShowRosterRequest
) -> admin_pb2.ShowRosterResponse:
    """Every node that is known, every key that waits, every invite."""
    members: list[admin_pb2.RosterMember] = await node.runtime.operate(_ListMembers())
    for member in members:
        if member.code == node.config.node.code:
            member.name = node.config.node.name
    enrolment = node.enrolment.get()
    now = enrolment.now()
    response = admin_pb2.ShowRosterResponse(
        members=members, refused_attempts=node.enrolment.refused_attempts
    )
    for invite in await asyncio.to_thread(enrolment.invites.all):
        response.invites.add(
            code=invite.code,
            name=invite.name,
            expires_seconds=invite.expires_seconds,
            state=invite.state_at(now),
            failures=invite.failures,
        )
    return response


class _ListMembers:
    """Reads the roster, on the engine's thread."""

    def run(self, engine: Engine) -> list[admin_pb2.RosterMember]:
        """By code, and each node's epochs from the oldest on."""
        roster = engine.roster
        members = []
        for code in sorted({engine.identity.code, *(pin.code for pin in roster.pins())}):
            pin = roster.pin(code)
            for epoch in roster.epochs_of(code):
                member = _member(engine, code, epoch.origin, pin)
                member.feed_key = str(epoch.key)
                member.state = epoch.status.value
                member.detail = epoch.reason
                if epoch.status is not EpochStatus.ACTIVE and epoch.stop is not None:
                    member.closed_size = epoch.stop
                members.append(member)
        for waiting in roster.waiting():
            member = _member(engine, waiting.pin.code, waiting.pin.origin, waiting.pin)
            member.feed_key = waiting.pin.feed_key
            member.state = EpochStatus.WAITING.value
            member.detail = f"named by {waiting.writer}, without the word of the key before it"
            members.append(member)
        return members


def _member(engine: Engine, code: str, origin: str, pin: Pin | None) -> admin_pb2.RosterMember:
    member = admin_pb2.RosterMember(
        code=code,
        origin=origin,
        epoch=parse_origin(origin).epoch,
        relation=_relation(engine, code),
        name=engine.roster.name(code),
    )
    if pin is not None:
        member.name = pin.name
        member.witness_key = pin.witness_key
        if pin.certificate:
            member.certificate_expires_seconds = _expires(pin.certificate)
    return member


def _relation(engine: Engine, code: str) -> str:
    """Where a node stands, as seen from this one."""
    own = engine.identity.code
    if code == own:
        return "self"
    if code == engine.roster.parent:
        return "parent"
    if code in engine.roster.children:
        return "child"
    return "below" if is_within(code, own) else "above"


def _expires(der: bytes) -> float:
    import ssl

    try:
        return tls.certificate_expires(ssl.DER_cert_to_PEM_cert(der))
    except HuyingError:
        return 0.0
