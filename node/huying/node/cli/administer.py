"""Carrying out an operator's request: by the node where it runs, else in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["administer", "administer_config"]

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
    return _carry_out_here(config, method, request)


def _carry_out_here(config: Config, method: str, request: Any) -> Any:
    from huying.node.admin.offline import carry_out

    try:
        return carry_out(config, method, request)
    except HuyingError as error:
        if error.code is Code.NODE_RUNNING:
            raise HuyingError(
                Code.UNREACHABLE, "the node runs and does not answer on its API"
            ) from None
        raise
