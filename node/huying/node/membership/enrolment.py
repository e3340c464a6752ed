"""The parent's side of a join: a request is judged, the child entered into the roster, answered.

By the network's port (`knock`) every refusal reads the same and costs the caller an attempt; by
file (`by_file`) the operator of this node is told the reason. An invite is marked as used, with the
keys that use it, before the Member entry is written: whatever breaks in between, the same keys may
come again with the same token, and no others can.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.limits import CONFIRM_SECONDS, JOIN_REFUSAL_SECONDS, JOIN_REFUSALS_MAX
from huying.common.membership.join_request import (
    check_token_proof,
    keys_digest,
    parse_request,
    prove_response,
    request_pin,
)
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import Pin
from huying.common.ports import Clock
from huying.node import logs, pins
from huying.node.membership.invites import OPEN, USED, Invite, InviteFolder
from huying.node.settings import split_address
from huying.wire.v1 import enrol_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.config import Config
    from huying.node.runtime import Runtime

__all__ = ["ENROLLED", "WAITING", "Enrolment", "Strangers"]

ENROLLED: Final = "enrolled"
WAITING: Final = "waiting"  # another operator has to confirm the new key
_HOSTS_MAX: Final = 1024
_FAILURES_MAX: Final = 2**31 - 1
_POLL_SECONDS: Final = 0.25


class Strangers:
    """How often each address was refused lately. Those past `_HOSTS_MAX` share one account."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._debts: dict[str, tuple[float, float]] = {}  # refusals not yet forgiven, and when

    def check(self, host: str) -> None:
        """Raises HuyingError(BUSY) for an address that was refused too often."""
        if self._debt(host) >= JOIN_REFUSALS_MAX:
            raise HuyingError(
                Code.BUSY, f"{JOIN_REFUSALS_MAX} refused attempts: wait a minute, then try again"
            )

    def refused(self, host: str) -> None:
        """One more."""
        account = self._account(host)
        self._debts[account] = (self._debt(host) + 1, self._monotonic())

    def _account(self, host: str) -> str:
        if host not in self._debts and len(self._debts) >= _HOSTS_MAX:
            for known in [known for known in self._debts if self._debt(known) <= 0]:
                del self._debts[known]
            if len(self._debts) >= _HOSTS_MAX:
                return ""
        return host

    def _debt(self, host: str) -> float:
        known = host in self._debts or len(self._debts) < _HOSTS_MAX
        debt, at = self._debts.get(host if known else "", (0.0, 0.0))
        return max(0.0, debt - (self._monotonic() - at) / JOIN_REFUSAL_SECONDS)


@dataclass(frozen=True, slots=True)
class _Enter:
    """Enters the child into the roster: the entry's index, and how the key stands now."""

    member: trust_pb2.Member
    request_id: bytes

    def run(self, engine: Engine) -> tuple[int, str]:
        if engine.state == "recovering":
            raise HuyingError(Code.RECOVERING, engine.identity.code)
        if engine.state not in ("live", "starting"):
            raise HuyingError(Code.DRAINING, f"the node is {engine.state}")
        if not engine.confirmed:
            raise HuyingError(Code.BUSY, "the parent has not confirmed this node's feed yet")
        # Keyed by the token, not by what is said: a node that moved away and back is named anew.
        draft = member_draft(self.member, engine.identity.code)
        draft = replace(draft, request_id=self.request_id)
        quarantined = engine.replica.own.quarantined
        (receipt,) = engine.replica.append((draft,))
        engine.replica.flush()  # so that the roster hears of it now
        if engine.replica.own.quarantined > quarantined:
            code = self.member.code
            raise HuyingError(Code.JOIN_REFUSED, f"the roster does not take these keys of {code}")
        origin = self.member.feed_key.split("+", 1)[0]
        known = engine.roster.feed_key(origin)
        return receipt.index, WAITING if known is None else ENROLLED


class Enrolment:
    """Takes children in. One for each node, since it alone changes the invites."""

    def __init__(self, config: Config, runtime: Runtime, clock: Clock) -> None:
        self.invites = InviteFolder(config.invites_dir)
        self.refused_attempts = 0  # since the start
        self._config = config
        self._runtime = runtime
        self._clock = clock
        self._strangers = Strangers(clock.monotonic)
        self._lock = asyncio.Lock()
        self._nobody = secrets.token_bytes(32)  # the MAC key of tokens that there are not

    def now(self) -> float:
        """Unix seconds, by the clock that decides on expiry."""
        return self._clock.now()

    async def knock(self, data: bytes, host: str) -> bytes:
        """Answer a stranger at `host`.

        Raises HuyingError(JOIN_REFUSED) without a word of why; BUSY where the address was refused
        too often, which is decided before anything of the request is looked at; and, to a holder of
        a good token alone, what keeps this node from writing.
        """
        self._strangers.check(host)
        try:
            return await self._enrol(data)
        except HuyingError as error:
            if error.code is not Code.JOIN_REFUSED:
                raise
            self._strangers.refused(host)
            logs.say("join_refused", peer=host, reason=error.detail)
            raise HuyingError(Code.JOIN_REFUSED) from None

    async def by_file(self, data: bytes) -> bytes:
        """Answer a request that this node's operator was brought.

        Raises HuyingError(JOIN_REFUSED), saying why.
        """
        return await self._enrol(data)

    async def _enrol(self, data: bytes) -> bytes:
        try:
            request = parse_request(data)
            async with self._lock:
                invite, pin = await asyncio.to_thread(self._claim, request)
            index, state = await self._enter(request, pin, invite)
        except HuyingError as error:
            if error.code is Code.JOIN_REFUSED:
                self.refused_attempts += 1
            raise
        if invite.roster_index != index:
            await self._change(invite.token_id, lambda one: replace(one, roster_index=index))
        logs.say("child_enrolled", peer=request.code, index=index, state=state)
        response = enrol_pb2.EnrolResponse(
            pins=[pins.render(each) for each in pins.own_line(self._config)],
            state=state,
            roster_index=index,
        )
        prove_response(response, invite.mac_key, request)
        return response.SerializeToString()

    async def _change(self, token: bytes, change: Callable[[Invite], Invite]) -> None:
        """Write something into an invite, as it stands by now."""
        async with self._lock:
            invite = await asyncio.to_thread(self._find, token)
            if invite is not None:
                await asyncio.to_thread(self.invites.put, change(invite))

    def _claim(self, request: enrol_pb2.EnrolRequest) -> tuple[Invite, Pin]:
        """Judge the request, and mark its token as used by its keys.

        Raises HuyingError(JOIN_REFUSED), after the attempt was counted.
        """
        invite = self._find(request.token_id)
        try:
            pin = self._judge(request, invite)
        except HuyingError as error:
            if invite is not None:
                self.invites.put(_failed(invite))
            raise HuyingError(Code.JOIN_REFUSED, error.detail) from None
        assert invite is not None, "or it would have been refused"
        if invite.state == OPEN:
            invite = replace(invite, state=USED, used_by=keys_digest(request))
            self.invites.put(invite)
        return invite, pin

    def _find(self, token: bytes) -> Invite | None:
        try:
            return self.invites.find(token)
        except HuyingError as error:
            logs.say("invite_damaged", detail=error.detail)
            return None

    def _judge(self, request: enrol_pb2.EnrolRequest, invite: Invite | None) -> Pin:
        """The child's keys. Raises HuyingError, whose detail is for this node's operator alone."""
        key = self._nobody if invite is None else invite.mac_key
        proven = check_token_proof(request, key)  # a token that there is not takes as long
        if invite is None:
            raise HuyingError(Code.JOIN_REFUSED, "no such token was issued here")
        if not proven:
            raise HuyingError(Code.JOIN_REFUSED, f"not made with the token of {invite.code}")
        if self._clock.now() >= invite.expires_seconds:  # also for the keys that used it
            raise HuyingError(Code.JOIN_REFUSED, f"the token of {invite.code} has expired")
        if request.network != self._config.node.network or request.code != invite.code:
            raise HuyingError(Code.JOIN_REFUSED, f"a token of {invite.code}, and another code")
        if invite.state == USED and invite.used_by != keys_digest(request):
            raise HuyingError(Code.JOIN_REFUSED, f"the token of {invite.code} was used before")
        pin = request_pin(request)
        if request.address:
            try:
                split_address(request.address)
            except ValueError as error:
                raise HuyingError(Code.JOIN_REFUSED, f"address: {error}") from None
        _succession(request)
        return replace(
            pin,
            name=invite.name or pin.name,
            certificate=request.certificate,
            hpke_key=request.hpke_key,
            address=request.address,
        )

    async def _enter(
        self, request: enrol_pb2.EnrolRequest, pin: Pin, invite: Invite
    ) -> tuple[int, str]:
        """Write the Member entry; where the parent has yet to answer, wait for that a while."""
        member = member_message(pin, _succession(request))
        label = b"enrol\n" + invite.token_id + keys_digest(request)
        operation = _Enter(member, sha256(label).digest()[:16])
        deadline = self._clock.monotonic() + 2 * CONFIRM_SECONDS
        while True:
            try:
                entered: tuple[int, str] = await self._runtime.operate(operation)
            except HuyingError as error:
                if error.code is Code.JOIN_REFUSED:
                    await self._change(invite.token_id, _failed)
                if error.code is not Code.BUSY or self._clock.monotonic() > deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return entered


def _failed(invite: Invite) -> Invite:
    return replace(invite, failures=min(invite.failures + 1, _FAILURES_MAX))


def _succession(request: enrol_pb2.EnrolRequest) -> trust_pb2.Succession | None:
    """Raises HuyingError(JOIN_REFUSED)."""
    if not request.succession:
        return None
    try:
        return trust_pb2.Succession.FromString(request.succession)
    except DecodeError:
        raise HuyingError(Code.JOIN_REFUSED, "succession: can't be decoded") from None
