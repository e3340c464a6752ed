"""The process: opens what a node needs, in order, and closes it in the opposite order.

    store (with its lock) → engine on its thread → downlink, uplink → API, metrics
    a signal → drain → uplink, downlink → API, metrics → engine → store

The exit code is 0 after a signal, and that of the failure's code otherwise: a supervisor restarts
the node, and the start verifies what the failure left.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from huying.common import codes
from huying.common.errors import EXIT_OK, Code, HuyingError
from huying.common.limits import FALLBACK_SECONDS
from huying.node import keys, logs, memory, pins, renewal
from huying.node.api.ports import Facts
from huying.node.backups import recovery_key
from huying.node.children import ChildRoster, Live, RosterFollower
from huying.node.clock import SystemClock, SystemEntropy
from huying.node.config import Config
from huying.node.desk import Topic
from huying.node.membership.late_enrolment import LateEnrolment
from huying.node.runtime import Runtime
from huying.node.services import (
    Component,
    Node,
    api_component,
    census_component,
    event_component,
    history_component,
    introduction_component,
    metrics_component,
    provision_component,
    retention_component,
)
from huying.node.steward import ParentTrust, Shown, Steward
from huying.node.version import own_version

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.ports import Clock, Sequencer
    from huying.node.pins import PinFile
    from huying.node.store.store import SqlStore
    from huying.node.transport.downlink import Downlink
    from huying.node.transport.link import FrameTap
    from huying.node.transport.uplink import Uplink

__all__ = [
    "SERVICES",
    "Additions",
    "ComponentFactory",
    "SequencerFactory",
    "open_engine",
    "run",
    "serve",
]

# Of this node's code, its store and its clock; None where the node answers nobody.
SequencerFactory = Callable[[str, "SqlStore", "Clock"], "Sequencer | None"]
ComponentFactory = Callable[[Node], Component | None]


@dataclass(frozen=True, slots=True)
class Additions:
    """What a hub adds to a node."""

    sequencer: SequencerFactory | None = None
    components: tuple[ComponentFactory, ...] = ()
    topics: tuple[Topic, ...] = ()  # of what the API serves


SERVICES: Final[tuple[ComponentFactory, ...]] = (
    retention_component,
    provision_component,
    census_component,
    event_component,
    introduction_component,
    history_component,
    api_component,
    metrics_component,
)
CERTIFICATE_WARN_SECONDS: Final = 30 * 86400.0


def run(
    config: Config,
    *,
    additions: Additions = Additions(),
    components: Sequence[ComponentFactory] = SERVICES,
) -> int:
    """Run the node until SIGTERM or SIGINT; returns the process's exit code.

    Raises HuyingError where the node can't start: CONFIG, KEY, NODE_RUNNING, CORRUPT, STORE_FAILED
    or DISK_FULL.
    """
    memory.limit_heaps()
    logs.configure(config.log.level, config.log.format)
    return asyncio.run(_until_signal(config, additions, components))


async def _until_signal(
    config: Config,
    additions: Additions,
    components: Sequence[ComponentFactory],
) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with serve(config, additions=additions, components=components) as node:
        stopping = asyncio.create_task(asked.wait())
        ended: asyncio.Future[None] = node.runtime.ended
        waited: tuple[asyncio.Future[object], ...] = (stopping, ended)  # type: ignore[assignment]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        failure = node.runtime.failure
        if failure is not None:
            advice = failure.advice
            logs.say("node_failed", code=failure.code.name, detail=failure.detail, advice=advice.zh)
    logs.say("node_stopped", code=config.node.code)
    return EXIT_OK if failure is None else failure.advice.exit_code


@contextlib.asynccontextmanager
async def serve(
    config: Config,
    *,
    additions: Additions = Additions(),
    components: Sequence[ComponentFactory] = SERVICES,
) -> AsyncIterator[Node]:
    """The node, serving. Leaving the block drains it and closes everything.

    Raises as `run`. Whatever had been opened before a failing start is closed again.
    """
    from huying.node.store.database import sqlite_url
    from huying.node.store.reader import FileReader

    logs.say("node_starting", code=config.node.code, name=config.node.name, file=str(config.file))
    clock = SystemClock()
    renewal.complete_tls(config.keys_dir)
    shown = Shown(keys.load_tls(config.keys_dir, config.node.code))
    ancestors = pins.load_folder(config.pins_dir)
    async with contextlib.AsyncExitStack() as stack:
        store, engine = open_engine(config, additions.sequencer)
        stack.callback(store.close)
        runtime = Runtime(engine, clock, on_idle=lambda: _rest(store))
        stack.push_async_callback(runtime.stop)
        await runtime.start()
        tap = _tap(config)
        children = ChildRoster()
        enrolment = LateEnrolment(config, runtime, clock)
        parent = _parent_trust(config, ancestors)
        uplink = _uplink(config, runtime, shown, ancestors, parent, tap)
        downlink = _downlink(config, runtime, shown, children, enrolment, tap)
        facts, names, certificates = _facts(config, engine, shown.identity, ancestors, clock.now())
        follower = RosterFollower(
            runtime,
            children=children,
            names=names,
            certificates=certificates,
            on_change=(lambda: None) if downlink is None else downlink.prune,
        )
        stack.push_async_callback(follower.stop)
        await follower.start()
        steward = Steward(
            config,
            runtime,
            shown,
            parent,
            lambda renewed: follower.expires(config.node.code, renewed.expires),
        )
        stack.push_async_callback(steward.stop)
        await steward.start()
        reader = FileReader(sqlite_url(config.database_file))
        stack.callback(reader.close)
        node = Node(
            config=config,
            facts=facts,
            runtime=runtime,
            reader=reader,
            clock=clock,
            enrolment=enrolment,
            retry_next=lambda: _retry_next(uplink),
            observers=[],
            topics=additions.topics,
        )
        # Metrics first, so that it hears of the appends from the first one on.
        for make in reversed((*components, *additions.components)):
            component = make(node)
            if component is not None:
                stack.push_async_callback(component.stop)
                await component.start()
        if downlink is not None:
            stack.push_async_callback(downlink.stop)
            await downlink.start()
        if uplink is not None:
            stack.push_async_callback(uplink.stop)
            await uplink.start()
        stack.push_async_callback(_drain, config, runtime)
        memory.collect_seldom()
        logs.say("node_running", code=config.node.code, api=config.api.listen)
        yield node


def _rest(store: SqlStore) -> None:
    """After a burst: the page cache and freed memory go back to the system."""
    store.release_memory()
    memory.trim()


async def _drain(config: Config, runtime: Runtime) -> None:
    logs.say("node_draining", code=config.node.code)
    await runtime.drain(config.timing.drain_seconds)


def open_engine(
    config: Config, sequencer_factory: SequencerFactory | None = None
) -> tuple[SqlStore, Engine]:
    """The node's store, locked, and its engine, not started. Close the store in the end.

    Raises as `run`.
    """
    known = pins.load_folder(config.pins_dir)
    store = _open_store(config)
    try:
        return store, _engine(config, store, known, sequencer_factory)
    except BaseException:
        store.close()
        raise


def _open_store(config: Config) -> SqlStore:
    from huying.node.store.database import sqlite_url
    from huying.node.store.store import SqlStore

    store = SqlStore.open(sqlite_url(config.database_file))
    logs.say("store_opened", file=str(config.database_file))
    return store


def _engine(
    config: Config,
    store: SqlStore,
    known: Sequence[PinFile],
    sequencer_factory: SequencerFactory | None,
) -> Engine:
    from huying.common.engine import Engine, Settings
    from huying.common.membership.succession import held_epochs
    from huying.node.erasure_list import FileErasureList
    from huying.node.highwater import FileMark, host_id
    from huying.node.store.sealed_copies import SqlCopyShelf

    code, timing = config.node.code, config.timing
    mark = FileMark(config.mark_file, host_id())
    held = held_epochs(store.feeds(), mark.read(), code)
    return Engine(
        identity=keys.load_identity(config.keys_dir, config.node.network, code, held),
        parent=None if config.parent is None else config.parent.code,
        pins=[pin.pin() for pin in known],
        store=store,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        mark=mark,
        erasure_list=FileErasureList(config.erasures_file),
        copy_shelf=SqlCopyShelf(store),
        recovery_key=recovery_key.load_public(config),
        settings=Settings(
            pulse_seconds=timing.pulse_seconds,
            # Behind a gap there is nobody to wait for.
            confirm_seconds=0.0 if _is_cut_off(config) else timing.confirm_seconds,
            withheld_grace_seconds=timing.withheld_grace_seconds,
            want_retry_seconds_min=timing.want_retry_seconds,
            sealed_quiet_seconds=timing.sealed_quiet_seconds,
        ),
        sequencer=None
        if sequencer_factory is None
        else sequencer_factory(code, store, SystemClock()),
    )


def _parent_trust(config: Config, ancestors: Sequence[PinFile]) -> ParentTrust | None:
    """Raises HuyingError(KEY) where the parent's pin is missing."""
    if config.parent is None:
        return None
    parent = next((pin for pin in ancestors if pin.code == config.parent.code), None)
    if parent is None:
        raise HuyingError(
            Code.KEY,
            f"{config.pins_dir / config.parent.code}.toml: missing; copy pin.toml from the parent",
        )
    return ParentTrust(config.pins_dir, parent)


def _is_cut_off(config: Config) -> bool:
    """Whether the parent is reached by bundles alone."""
    return config.parent is not None and config.parent.address is None


def _uplink(
    config: Config,
    runtime: Runtime,
    shown: Shown,
    ancestors: Sequence[PinFile],
    parent: ParentTrust | None,
    tap: FrameTap | None,
) -> Uplink | None:
    if config.parent is None or config.parent.address is None or parent is None:
        return None  # the root, or a node behind a gap
    from huying.node.transport.uplink import Uplink

    uplink = Uplink(
        runtime,
        code=config.parent.code,
        address=config.parent.address,
        credentials=lambda: parent.credentials(shown.identity),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        retry_seconds_min=config.timing.retry_seconds_min,
        retry_seconds_max=config.timing.retry_seconds_max,
        stream_age_seconds=config.timing.stream_age_seconds,
        tap=tap,
        fallback=config.parent.fallback,
        fallback_due=_root_silent(runtime, ancestors),
    )
    uplink.on_up = parent.linked
    return uplink


def _root_silent(runtime: Runtime, ancestors: Sequence[PinFile]) -> Callable[[], bool]:
    """Whether the root has not been heard from for so long that another way in is worth a try."""
    clock = SystemClock()
    began = clock.now()
    root = min(ancestors, key=lambda pin: codes.level(pin.code)).code

    def due() -> bool:
        heard = [feed.remote_head_observed for feed in runtime.status().feeds if feed.code == root]
        newest = max((at for at in heard if at is not None), default=began)
        return clock.now() - max(newest, began) >= FALLBACK_SECONDS

    return due


def _downlink(
    config: Config,
    runtime: Runtime,
    shown: Shown,
    children: ChildRoster,
    enrolment: LateEnrolment,
    tap: FrameTap | None,
) -> Downlink | None:
    if config.sync.listen is None:
        return None
    from huying.node.transport.downlink import Downlink

    return Downlink(
        runtime,
        listen=config.sync.listen,
        own=lambda: (shown.identity.key_pem, shown.identity.certificate_pem),
        children=children,
        answer=enrolment.knock,
        tap=tap,
    )


def _facts(
    config: Config,
    engine: Engine,
    own: keys.TlsIdentity,
    ancestors: Sequence[PinFile],
    now: float,
) -> tuple[Facts, Live[str], Live[float]]:
    """The facts, and of them the names and certificates, which the roster brings up to date."""
    expires = {config.node.code: own.expires}
    expires.update((pin.code, pin.certificate_expires) for pin in ancestors)
    for code, until in expires.items():
        if until - now < CERTIFICATE_WARN_SECONDS:
            logs.say("certificate_expiring", peer=code, expires=until)
    names = Live({**{pin.code: pin.name for pin in ancestors}, config.node.code: config.node.name})
    certificates = Live(expires)
    facts = Facts(
        network=config.node.network,
        code=config.node.code,
        name=config.node.name,
        origin=engine.identity.origin,
        verifier_key=str(engine.identity.feed_signer.key),
        witness_key=str(engine.identity.witness_signer.key),
        version=own_version(),
        started=now,
        names=names,
        certificates=certificates,
    )
    return facts, names, certificates


def _tap(config: Config) -> FrameTap | None:
    if config.capture_dir is None:
        return None
    from huying.node.transport.capture import Capture

    logs.say("capture_on", folder=str(config.capture_dir))
    return Capture(config.capture_dir)


def _retry_next(uplink: Uplink | None) -> Mapping[str, float]:
    at = None if uplink is None else uplink.retry_next
    return {} if uplink is None or at is None else {uplink.code: at}
