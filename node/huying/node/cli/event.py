"""`huying event …`: events at every tier, and what a town does about its villages'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.administer import ask_desk
from huying.node.cli.context import JsonOption
from huying.node.cli.typed import parse_page

if TYPE_CHECKING:
    from huying.wire.v1 import events_pb2

__all__ = ["group"]

_EventArgument = Annotated[
    str, typer.Argument(metavar="EVENT", help="事件编号 · The event's id, hex or UUID.")
]
_HomeOption = Annotated[
    str, typer.Option(metavar="CODE", help="上报的村 · The village that reported it.")
]
_ActorOption = Annotated[
    str,
    typer.Option(
        help="经办人代号,默认登录名 · Who acts, written down; the login name by default.",
        envvar=context.ACTOR_VARIABLE,
    ),
]
_EVENT_ZH: Final = {"reported": "已上报", "settled": "已办结", "called": "已呼叫"}
_HANDLING_ZH: Final = {"taken": "镇已接办", "settled": "镇已办结", "assigned": "已交办"}


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(no_args_is_help=True, help="事件及镇的交办处置 · Events and their handling.")
    made.command(name="list")(list_)
    made.command()(show)
    made.command()(take)
    made.command()(settle)
    made.command()(assign)
    return made


def list_(
    ctx: typer.Context,
    area: Annotated[
        str, typer.Option(metavar="CODE", help="区划,默认全部 · A division; all by default.")
    ] = "",
    status: Annotated[str, typer.Option(metavar="STATUS", help="reported, settled, called.")] = "",
    category: Annotated[str, typer.Option(help="类别 · Of this category.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数 · How many.")] = 100,
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="上一页给出的续页标记 · From the page before.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """事件列表,新的在前,附镇的处置 · List events, the newest first, with the town's word."""
    from huying.node.cli.output import print_json, print_note, print_table, when
    from huying.wire.v1 import events_pb2 as pb

    request = pb.ListEventsRequest(
        area=area,
        status=_status(status),
        category=category,
        limit=limit,
        page_token=parse_page(page),
    )
    found = ask_desk(ctx, _topic(), "ListEvents", request)
    following = found.next_page_token.hex()
    if as_json:
        events = [_document(view) for view in found.events]
        print_json({"events": events, "next_page": following or None})
        return
    rows = [
        (
            view.record.hex(),
            view.home,
            view.event.category,
            _EVENT_ZH.get(_event_status(view), ""),
            _HANDLING_ZH.get(_handling_status(view), "—"),
            when(view.event.reported_micros),
        )
        for view in found.events
    ]
    names = ("=事件 · event", "=村 · village", "类别 · category", "状态 · status", "镇 · town")
    print_table((*names, "上报 · reported"), rows)
    if following:
        print_note(f"还有更多:--page {following}", "there is more")


def show(
    ctx: typer.Context,
    event: _EventArgument,
    home: _HomeOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """查看一件事件及镇的处置 · Show one event, and the town's word about it."""
    from huying.node.cli.output import print_json

    view = _show(ctx, event, home)
    if as_json:
        print_json(_document(view))
        return
    _print(view)


def take(
    ctx: typer.Context,
    event: _EventArgument,
    text: Annotated[str, typer.Option(help="说明,不写个人信息 · In words, if any.")] = "",
    home: _HomeOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """接办(镇):由镇来办 · The town sees to it itself."""
    _handle(ctx, "TAKEN", event, text=text, home=home, actor=actor, as_json=as_json)


def settle(
    ctx: typer.Context,
    event: _EventArgument,
    text: Annotated[str, typer.Option(help="办理结果,不写个人信息 · What was done.")],
    home: _HomeOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """办结(镇):村节点随即办结该事件 · The town settled it; the village's node then says so."""
    _handle(ctx, "SETTLED", event, text=text, home=home, actor=actor, as_json=as_json)


def assign(
    ctx: typer.Context,
    event: _EventArgument,
    text: Annotated[str, typer.Option(help="要村里做什么 · What the village is to do.")],
    home: _HomeOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """交办(镇):交由村里办 · The village is to see to it, with the town's words."""
    _handle(ctx, "ASSIGNED", event, text=text, home=home, actor=actor, as_json=as_json)


def _handle(
    ctx: typer.Context,
    status: str,
    event: str,
    *,
    text: str,
    home: str,
    actor: str,
    as_json: bool,
) -> None:
    from huying.node.cli.output import print_json, print_note
    from huying.wire.v1 import events_pb2 as pb

    view = _show(ctx, event, home)
    request = pb.HandleEventRequest(
        home=view.home,
        record=view.record,
        status=pb.EventHandlingStatus.Value(f"EVENT_HANDLING_STATUS_{status}"),
        text=text,
        actor=context.acting(actor),
        seen_number=view.handling.handling.number,
    )
    done = ask_desk(ctx, _topic(), "HandleEvent", request)
    view.handling.CopyFrom(done.handling)
    if as_json:
        print_json({**_document(view), "unchanged": done.unchanged, "masked": done.masked})
        return
    _print(view)
    if done.unchanged:
        print_note("原已如此,未再写入", "it stood so already; nothing was written")
    if done.masked:
        print_note("文中的号码已隐去", "a number in the text was masked")


def _topic() -> Any:
    from huying.node.desk import topic

    return topic("EventDesk")


def _show(ctx: typer.Context, event: str, home: str) -> events_pb2.EventView:
    from huying.wire.v1 import events_pb2 as pb

    request = pb.ShowEventRequest(home=home, record=context.parse_hex(event, "EVENT"))
    view: events_pb2.EventView = ask_desk(ctx, _topic(), "ShowEvent", request).event
    return view


def _status(name: str) -> Any:
    from huying.wire.v1 import records_pb2 as pb

    if not name:
        return pb.EVENT_STATUS_UNSPECIFIED
    if name not in _EVENT_ZH:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--status: one of {', '.join(_EVENT_ZH)}")
    return pb.EventStatus.Value(f"EVENT_STATUS_{name.upper()}")


def _event_status(view: events_pb2.EventView) -> str:
    from huying.node.cli.plain import enum_name
    from huying.wire.v1 import records_pb2 as pb

    return str(enum_name(pb.EventStatus.DESCRIPTOR, view.event.status))


def _handling_status(view: events_pb2.EventView) -> str:
    from huying.node.cli.plain import enum_name
    from huying.wire.v1 import events_pb2 as pb

    if not view.HasField("handling"):
        return ""
    return str(enum_name(pb.EventHandlingStatus.DESCRIPTOR, view.handling.handling.status))


def _document(view: events_pb2.EventView) -> dict[str, Any]:
    """One event as JSON: its fields, where its newest version stands, and the town's word."""
    from huying.node.cli.plain import to_plain

    handling = None
    if view.HasField("handling"):
        word = view.handling
        handling = {
            "town": word.home,
            "status": _handling_status(view),
            "text": word.handling.text,
            "actor": word.handling.actor,
            "number": word.handling.number,
            "origin": word.origin,
            "index": word.index,
            "written_micros": word.written_micros,
        }
    return {
        "event": view.record.hex(),
        "home": view.home,
        "status": _event_status(view),
        "fields": to_plain(view.event),
        "origin": view.origin,
        "index": view.index,
        "written_micros": view.written_micros,
        "handling": handling,
    }


def _print(view: events_pb2.EventView) -> None:
    from huying.node.cli.output import print_pairs, when

    event, word, status = view.event, view.handling, _handling_status(view)
    pairs: list[tuple[str, object]] = [
        ("事件 · event", view.record.hex()),
        ("村 · village", view.home),
        ("状态 · status", f"{_EVENT_ZH.get(_event_status(view), '')} {_event_status(view)}"),
        ("类别 · category", event.category),
        ("内容 · description", event.description_full or event.description_public or "—"),
        ("上报 · reported", when(event.reported_micros)),
        ("办结 · settled", when(event.settled_micros)),
        ("镇 · town", f"{_HANDLING_ZH.get(status, status)} {status}" if status else "—"),
    ]
    if status:
        pairs += [
            ("镇的话 · its words", word.handling.text or "—"),
            ("经办 · by", word.handling.actor or "—"),
            ("时间 · written", when(word.written_micros)),
        ]
    print_pairs(pairs)
