"""What a node offers beside its links: the API, and metrics over HTTP.

Built from the same few parts by every tier, so a hub's process differs just in its sequencer.
Libraries are imported when a service is built: a node without metrics never loads their client.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from huying.common.codes import Level, level
from huying.common.ports import Clock
from huying.node.api.ports import Facts
from huying.node.background import end_task, keep_up
from huying.node.config import Config, split_address
from huying.node.desk import Topic
from huying.node.membership.late_enrolment import LateEnrolment
from huying.node.monitoring.history import History, HistoryKeeper
from huying.node.runtime import Runtime

if TYPE_CHECKING:
    from huying.node.monitoring.figures import Observed
    from huying.node.store.reader import FileReader

__all__ = [
    "Component",
    "Node",
    "api_component",
    "census_component",
    "event_component",
    "history_component",
    "introduction_component",
    "metrics_component",
    "provision_component",
    "retention_component",
]

GRACE_SECONDS: Final = 1.0  # for the requests that are being answered


class Component(Protocol):
    """Something that lives as long as the node serves."""

    async def start(self) -> None:
        """Serve. Raises HuyingError where it can't."""
        ...

    async def stop(self) -> None:
        """Serve no more; returns when nothing of it is left."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """The running node, as a component is built from it."""

    config: Config
    facts: Facts
    runtime: Runtime
    reader: FileReader  # shared by all components; its methods block, so call them on a thread
    clock: Clock
    enrolment: LateEnrolment
    retry_next: Callable[[], Mapping[str, float]]  # unix seconds, by peer; safe on any thread
    observers: list[Callable[[float], None]]  # told the seconds each append took
    topics: tuple[Topic, ...] = ()  # that the API serves beside the node's own
    collectors: list[Any] = field(default_factory=list)  # of metrics, beside the node's own
    counts: dict[str, int] = field(default_factory=dict)  # by components, for the metrics
    history: History = field(default_factory=History)

    def observe_append(self, seconds: float) -> None:
        """One append was acknowledged."""
        for observe in self.observers:
            observe(seconds)


class _Api:
    def __init__(self, server: Any, console_token_file: Path | None) -> None:
        self._server = server
        self._console_token_file = console_token_file
        self._drawing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._console_token_file is not None:
            from huying.node.api.console_token import keep_drawing

            work = functools.partial(keep_drawing, self._console_token_file)
            self._drawing = asyncio.create_task(keep_up("console token", work))
        await self._server.start()

    async def stop(self) -> None:
        await end_task(self._drawing)
        await self._server.stop(GRACE_SECONDS)


class _Metrics:
    def __init__(self, server: Any) -> None:
        self._server = server

    async def start(self) -> None:
        self._server.start()

    async def stop(self) -> None:
        self._server.stop()


def api_component(node: Node) -> Component:
    """The gRPC API. Raises HuyingError(KEY) where its token can't be read."""
    from huying.node.admin import AdminNode
    from huying.node.api.calls import Calls
    from huying.node.api.reads import StoreReads
    from huying.node.api.server import ApiServer
    from huying.node.api.service import NodeService
    from huying.node.keys import load_token

    host, port = split_address(node.config.api.listen)
    token = load_token(node.config.token_file)
    reads = StoreReads(node.reader)
    service = NodeService(
        facts=node.facts,
        runtime=node.runtime,
        reads=reads,
        calls=Calls(node.facts.code, node.clock, reads),
        clock=node.clock,
        retry_next=node.retry_next,
        observe_append=node.observe_append,
    )
    server = ApiServer(
        host=host,
        port=port,
        token=token,
        token_file=node.config.token_file,
        console_token_file=node.config.console_token_file,
        runtime=node.runtime,
        service=service,
        admin=AdminNode(
            node.config,
            node.runtime,
            node.reader,
            node.enrolment,
            functools.partial(_observe, node),
            node.history,
        ),
        topics=node.topics,
    )
    has_console = node.config.console.listen is not None
    return _Api(server, node.config.console_token_file if has_console else None)


def metrics_component(node: Node) -> Component | None:
    """Metrics and health over HTTP, or None where the configuration names no address.

    Raises HuyingError(CONFIG) where the address can't be bound.
    """
    if node.config.metrics.listen is None:
        return None
    from huying.node.monitoring.http import MetricsServer
    from huying.node.monitoring.metrics import NodeMetrics
    from huying.node.monitoring.observing import observe

    look = functools.partial(observe, node)
    metrics = NodeMetrics(look, node.facts.version, node.facts.code)
    for collector in node.collectors:
        metrics.registry.register(collector)
    node.observers.append(metrics.observe_append)
    node.runtime.observe_commit = metrics.observe_commit
    host, port = split_address(node.config.metrics.listen)
    state = functools.partial(_state, node.runtime)
    return _Metrics(MetricsServer(host, port, metrics.registry, state))


def retention_component(node: Node) -> Component | None:
    """The nightly job that erases by age, or None where everything is kept for ever."""
    from huying.node.retention import Retention, days_by_type

    return Retention(node) if days_by_type(node.config.retention) else None


def census_component(node: Node) -> Component | None:
    """A village's answers to what it is asked, or None at the tiers that ask."""
    if level(node.config.node.code) != Level.VILLAGE:
        return None
    from huying.node.census.census_answers import CensusAnswers

    return CensusAnswers(node)


def event_component(node: Node) -> Component | None:
    """A village's part in what its town settles, or None at the tiers above."""
    if level(node.config.node.code) != Level.VILLAGE:
        return None
    from huying.node.events.event_keeper import EventKeeper

    return EventKeeper(node)


def provision_component(node: Node) -> Component:
    """The rules and the ends of provisions."""
    from huying.node.provision_keeper import ProvisionKeeper

    return ProvisionKeeper(node)


def introduction_component(node: Node) -> Component:
    """The node's own division record."""
    from huying.node.membership.introduction import Introduction

    return Introduction(node.config.node, node.runtime)


def history_component(node: Node) -> Component:
    """What the node remembers of its lag and its disk."""
    return HistoryKeeper(node)


def _observe(node: Node) -> Observed:
    """The look at the node, loaded when the first one asks: an idle village has nobody who does."""
    from huying.node.monitoring.observing import observe

    return observe(node)


def _state(runtime: Runtime) -> str:
    return runtime.status().state
