"""Carrying out an operator's request: by the node where it runs, else in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context

if TYPE_CHECKING:
    from huying.node.admin import Handler
    from huying.node.config import Config
    from huying.node.desk import Topic

__all__ = ["administer", "administer_config", "ask_desk"]

OPERATION_SECONDS: Final = 120.0  # an import of weeks, on a slow disk


def administer(ctx: typer.Context, method: str, request: Any) -> Any:
    """The response to one request of huying.wire.v1.Admin. Raises what the node refuses with."""
    return administer_config(context.config(ctx), method, request)


def administer_config(config: Config, method: str, request: Any) -> Any:
    """The same, for a configuration at hand."""
    with context.client(config) as client:
        try:
            return client.administer(method, request, OPERATION_SECONDS)
        except HuyingError as error:
            if error.code is not Code.UNREACHABLE:
                raise
    from huying.node.admin import handler

    return _carry_out_here(config, handler(method), request)


def ask_desk(ctx: typer.Context, topic: Topic, method: str, request: Any) -> Any:
    """The response to one request of a topic of the desk. Raises what the node refuses with."""
    config = context.config(ctx)
    with context.client(config) as client:
        try:
            return client.ask_desk(topic, method, request, OPERATION_SECONDS)
        except HuyingError as error:
            if error.code is not Code.UNREACHABLE:
                raise
    return _carry_out_here(config, topic.handler(method), request)


def _carry_out_here(config: Config, handle: Handler, request: Any) -> Any:
    from huying.node.admin.offline import carry_out

    try:
        return carry_out(config, handle, request)
    except HuyingError as error:
        if error.code is Code.NODE_RUNNING:
            raise HuyingError(
                Code.UNREACHABLE, "the node runs and does not answer on its API"
            ) from None
        raise
