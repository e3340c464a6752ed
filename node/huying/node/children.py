"""The children whose links are taken, and what else follows from the roster while the node runs.

A Member entry brings a child in, replaces its certificate, or ends it; everybody here is told once
the entry is durable, and no restart is needed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from huying.common.effects import Notice, NoticeKind
from huying.common.errors import HuyingError
from huying.node import logs, tls
from huying.node.background import end_task, keep_up

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.runtime import Runtime

__all__ = ["Child", "ChildRoster", "Live", "ReadRoster", "RosterFollower", "RosterView"]

T = TypeVar("T")


class Child(Protocol):
    """One child, as its link is recognised."""

    @property
    def code(self) -> str:
        """Division code."""
        ...

    @property
    def certificate(self) -> str:
        """PEM."""
        ...


class ChildRoster:
    """The children whose links are taken. `set` and `replace` change them while the node runs."""

    def __init__(self, children: Iterable[Child] = ()) -> None:
        self._now: tuple[tuple[str, ...], dict[bytes, str]] = ((), {})
        self.replace(children)

    def replace(self, children: Iterable[Child]) -> None:
        """As `set`."""
        self.set((child.code, child.certificate) for child in children)

    def set(self, children: Iterable[tuple[str, str]]) -> None:
        """Take links of just these, (code, certificate in PEM), from now on.

        One assignment, so safe on any thread.
        """
        known = tuple(children)
        self._now = (
            tuple(certificate for _, certificate in known),
            {tls.certificate_sha256(certificate): code for code, certificate in known},
        )

    def certificates(self) -> Sequence[str]:
        """Every child's certificate, as PEM."""
        return self._now[0]

    def code_of(self, certificate_sha256: bytes) -> str | None:
        """The code of the child with that certificate, or None where no child has it."""
        return self._now[1].get(certificate_sha256)


class Live(Mapping[str, T]):
    """A mapping that is replaced as a whole, so that any thread may read it meanwhile."""

    def __init__(self, now: Mapping[str, T]) -> None:
        self._now = dict(now)

    def replace(self, now: Mapping[str, T]) -> None:
        """This is what it holds from now on."""
        self._now = dict(now)

    def __getitem__(self, key: str) -> T:
        return self._now[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


@dataclass(frozen=True, slots=True)
class RosterView:
    """What the shell needs to know of the roster."""

    links: tuple[tuple[str, str], ...]  # (code, certificate in PEM) of each child
    names: dict[str, str]  # of every known division, by code


class ReadRoster:
    """Reads the roster, on the engine's thread; for `Runtime.operate`."""

    def run(self, engine: Engine) -> RosterView:
        """A child in the middle of a change may show its old certificate or its new one."""
        roster = engine.roster
        return RosterView(
            links=tuple(
                (code, ssl.DER_cert_to_PEM_cert(der))
                for code in roster.children
                for der in roster.certificates_of(code)
            ),
            names={pin.code: pin.name for pin in roster.pins() if pin.name},
        )


class RosterFollower:
    """Keeps the children, their names and their certificates as the roster has them."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        children: ChildRoster,
        names: Live[str],
        certificates: Live[float],
        on_change: Callable[[], None],
    ) -> None:
        """`names` and `certificates` hold at first what the files say, which stays."""
        self._runtime = runtime
        self._children = children
        self._names = names
        self._certificates = certificates
        self._of_files = dict(names), dict(certificates)
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the roster now, and again whenever it changes."""
        await self._refresh()
        self._runtime.observers.append(self._notice)
        self._task = asyncio.create_task(keep_up("children", self._follow))

    async def stop(self) -> None:
        """Follow no more."""
        await end_task(self._task)

    def expires(self, code: str, until: float) -> None:
        """The certificate of this node, or of an ancestor, was renewed; unix seconds."""
        self._of_files[1][code] = until
        self._certificates.replace({**self._certificates, code: until})

    def _notice(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.ROSTER:
            self._wanted.set()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._refresh()
            except HuyingError as error:
                logs.say("roster_not_read", code=error.code.name)

    async def _refresh(self) -> None:
        view: RosterView = await self._runtime.operate(ReadRoster())
        names, certificates = self._of_files
        links = []
        expires: dict[str, float] = {}
        for code, certificate in view.links:
            try:
                until = tls.certificate_expires(certificate)
            except HuyingError:
                continue  # it would let nobody in, and spoil the list for the others
            links.append((code, certificate))
            expires.setdefault(code, until)
        self._children.set(links)
        self._names.replace({**view.names, **names})
        self._certificates.replace({**expires, **certificates})
        self._on_change()
