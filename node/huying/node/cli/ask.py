"""`huying ask`: a question to the villages, answered by counting where the data is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1.census_pb2 import AskResponse

__all__ = ["register"]

_POLL_SECONDS: Final = 0.5
_OFFLINE_SECONDS: Final = 3.0  # that an answer of a village that seems offline is waited for


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ask)


def ask(
    ctx: typer.Context,
    template: Annotated[
        str, typer.Argument(metavar="TEMPLATE", help="模板名称 · The template; see --list.")
    ] = "",
    area: Annotated[
        str,
        typer.Option(metavar="CODE", help="县、乡镇或村的区划代码 · A county, town or village."),
    ] = "",
    month: Annotated[
        str, typer.Option(metavar="YYYY-MM", help="月份,默认上月 · The month; the last one.")
    ] = "",
    purpose: Annotated[str, typer.Option(help="用途,记录在案 · What for; put on record.")] = "",
    actor: Annotated[
        str,
        typer.Option(
            help="提问人代号,默认登录名 · Who asks, written down; the login name by default.",
            envvar=context.ACTOR_VARIABLE,
        ),
    ] = "",
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="等待各村作答 · How long to wait for answers.")
    ] = 10.0,
    show_list: Annotated[
        bool, typer.Option("--list", help="列出模板;给出名称则显示全文 · The templates.")
    ] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    """按审定的模板就地计数,原始数据不出村 · Count where the data is, by a reviewed template."""
    if show_list:
        _list(ctx, template, as_json=as_json)
        return
    for name, value in (("TEMPLATE", template), ("--area", area)):
        if not value:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: missing; huying ask --help")
    from huying.node.cli.ask_text import document, print_answer
    from huying.node.cli.output import print_json
    from huying.wire.v1 import census_pb2

    request = census_pb2.AskRequest(
        template=template,
        area=area,
        month=month,
        purpose=purpose,
        actor=context.acting(actor),
    )
    response = _ask(ctx, request, wait)
    if as_json:
        print_json(document(response))
    else:
        print_answer(response)


def _ask(ctx: typer.Context, request: Any, wait_seconds: float) -> AskResponse:
    """Ask, and ask again until nobody is waited for; the question is written just once."""
    from huying.node.cli.administer import ask_desk
    from huying.node.desk import NODE_TOPICS

    (topic,) = (one for one in NODE_TOPICS if one.name == "Census")
    began = time.monotonic()
    first: AskResponse | None = None
    while True:
        response: AskResponse = ask_desk(ctx, topic, "Ask", request)
        if first is None:
            first = response
        waited = time.monotonic() - began
        if waited >= wait_seconds or not _worth_waiting(response, waited):
            # Whether the question was new is what the first answer said.
            response.question_repeated = first.question_repeated
            return response
        time.sleep(min(_POLL_SECONDS, wait_seconds - waited))


def _worth_waiting(response: AskResponse, waited_seconds: float) -> bool:
    from huying.wire.v1 import census_pb2

    states = {village.state for village in response.villages}
    if census_pb2.ANSWER_STATE_AWAITED in states:
        return True
    return census_pb2.ANSWER_STATE_OFFLINE in states and waited_seconds < _OFFLINE_SECONDS


def _list(ctx: typer.Context, template: str, *, as_json: bool) -> None:
    from huying.node.census.census_templates import answered_names, shipped
    from huying.node.census.census_templates import template as find
    from huying.node.cli import context
    from huying.node.cli.ask_text import print_templates, template_document
    from huying.node.cli.output import print_bytes, print_json

    chosen = [find(template)] if template else list(shipped().values())
    answered = answered_names(context.config(ctx).ask)
    if as_json:
        print_json({"templates": [template_document(one, answered) for one in chosen]})
    elif template:
        print_bytes(chosen[0].text.encode())
    else:
        print_templates(chosen, answered)
