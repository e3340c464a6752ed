"""Brings another TLS certificate into use once the neighbours can recognise it.

A node that renews announces the new certificate in its own feed. Its parent answers with a Member
that names it; its children take it from the announcement. Only then does the node show it: a
neighbour that had not heard of it would refuse the link. A child trusts its parent's old and new
certificate, one at a dial, until a dial with the new one succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from huying.common.effects import Notice, NoticeKind
from huying.common.errors import HuyingError
from huying.node import keys, logs, pins, renewal, tls
from huying.node.background import end_task, keep_up
from huying.node.keys import TlsIdentity
from huying.node.pins import PinFile

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.config import Config
    from huying.node.runtime import Runtime

__all__ = ["ParentTrust", "Shown", "Steward"]

WAITING_SECONDS: Final = 2.0  # between two looks at whether everybody has heard


class Shown:
    """The TLS key and certificate in use. `identity` is replaced as a whole; any thread reads."""

    def __init__(self, identity: TlsIdentity) -> None:
        self.identity = identity


class ParentTrust:
    """Which certificate of the parent's a dial trusts."""

    def __init__(self, folder: Path, pin: PinFile) -> None:
        self._folder = folder
        self._pin = pin
        self._next = folder / f"{pin.code}.next.crt"
        self._turn = 0

    def credentials(self, own: TlsIdentity) -> grpc.ChannelCredentials:
        """For the next dial: the certificate that worked last, in turn with an announced one."""
        trusted = self._candidates()
        certificate = trusted[self._turn % len(trusted)]
        self._turn += 1
        return tls.channel_credentials(own.key_pem, own.certificate_pem, certificate.encode())

    def linked(self) -> None:
        """The newest dial succeeded: what it trusted is what the parent shows."""
        trusted = self._candidates()
        certificate = trusted[(self._turn - 1) % len(trusted)]
        self._turn = 0
        if certificate != self._pin.certificate:
            self._pin = replace(self._pin, certificate=certificate)
            pins.write(self._folder / f"{self._pin.code}.toml", self._pin)
            self._next.unlink(missing_ok=True)
            logs.say("parent_certificate_replaced", peer=self._pin.code)

    def announced(self, der: bytes) -> None:
        """The parent's feed names this certificate. Raises HuyingError(KEY)."""
        certificate = ssl.DER_cert_to_PEM_cert(der)
        if tls.certificate_sha256(certificate) == self._pin.certificate_sha256:
            self._next.unlink(missing_ok=True)
            return
        tls.certificate_expires(certificate)
        if self._candidates()[-1] != certificate:
            temporary = self._next.with_suffix(".new")
            temporary.write_text(certificate, "ascii")
            temporary.replace(self._next)

    def _candidates(self) -> list[str]:
        try:
            return [self._pin.certificate, self._next.read_text("ascii")]
        except FileNotFoundError:
            return [self._pin.certificate]


@dataclass(frozen=True, slots=True)
class Heard:
    """How far the neighbours have come with what this node announced, and what the parent did."""

    by_parent: bytes | None  # the certificate (DER) of this node that its parent names
    by_children: bool  # every child holds the announcement
    announced: bytes  # the certificate in this node's newest announcement
    of_parent: bytes  # the certificate in the parent's newest announcement


class ReadRenewals:
    """Reads the state of renewals, on the engine's thread; for `Runtime.operate`."""

    def run(self, engine: Engine) -> Heard:
        """Children that are not connected have not heard."""
        roster, epochs = engine.roster, engine.epochs
        own, parent = epochs.announced.get(roster.code), epochs.announced.get(roster.parent or "")
        held: dict[str, bool] = {}
        if own is not None:
            for session in engine.sessions.values():
                held[session.peer] = session.acked(own.origin) > own.index
        pin = roster.pin(roster.code)
        return Heard(
            by_parent=None if pin is None else pin.certificate,
            by_children=all(held.get(code, False) for code in roster.children),
            announced=b"" if own is None else own.certificate,
            of_parent=b"" if parent is None else parent.certificate,
        )


class Steward:
    """Watches over the renewal of this node's certificate and of its parent's."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        shown: Shown,
        parent: ParentTrust | None,
        on_renewed: Callable[[TlsIdentity], None] = lambda _identity: None,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._shown = shown
        self._parent = parent
        self._on_renewed = on_renewed
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Finish what a crash cut in two, and watch."""
        self._retire()
        self._wanted.set()
        self._runtime.observers.append(self._notice)
        self._task = asyncio.create_task(keep_up("renewal", self._watch))

    async def stop(self) -> None:
        """Watch no more."""
        await end_task(self._task)

    def _notice(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.ROSTER:
            self._wanted.set()

    async def _watch(self) -> None:
        while True:
            pending = await asyncio.to_thread(renewal.next_tls, self._config.keys_dir)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if pending is None else WAITING_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._tend()
            except HuyingError as error:
                logs.say("renewal_waits", code=error.code.name, detail=error.detail)

    async def _tend(self) -> None:
        heard: Heard = await self._runtime.operate(ReadRenewals())
        if self._parent is not None and heard.of_parent:
            await asyncio.to_thread(self._parent.announced, heard.of_parent)
        waiting = await asyncio.to_thread(renewal.next_tls, self._config.keys_dir)
        if waiting is None or heard.announced != waiting or not heard.by_children:
            return
        if self._config.parent is not None and heard.by_parent != waiting:
            return
        await asyncio.to_thread(renewal.switch_tls, self._config.keys_dir)
        self._shown.identity = keys.load_tls(self._config.keys_dir, self._config.node.code)
        await asyncio.to_thread(self._write_pin)
        self._on_renewed(self._shown.identity)
        logs.say("certificate_renewed", expires=self._shown.identity.expires)

    def _retire(self) -> None:
        """Delete the keys of epochs that are over, and bring the own pin up to date."""
        config = self._config
        origin = self._runtime.status().origin
        epoch = int(origin.rsplit("/e", 1)[1])
        if keys.retire_feed_keys(config.keys_dir, config.node.network, config.node.code, epoch):
            self._write_pin()

    def _write_pin(self) -> None:
        pins.write(self._config.file.parent / "pin.toml", pins.own_line(self._config)[0])
