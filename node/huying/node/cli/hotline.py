"""`huying hotline …`: 12345 orders at every tier. Importing and assigning are the hub's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.administer import ask_desk
from huying.node.cli.context import JsonOption
from huying.node.cli.typed import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huying.wire.v1 import hotline_pb2

__all__ = ["ActorOption", "OrderArgument", "group", "order_document", "print_step", "topic"]

OrderArgument = Annotated[
    str, typer.Argument(metavar="ORDER", help="工单编号 · The order's id, hex or UUID.")
]
ActorOption = Annotated[
    str,
    typer.Option(
        help="经办人代号,默认登录名 · Who acts, written down; the login name by default.",
        envvar=context.ACTOR_VARIABLE,
    ),
]
_HandlerOption = Annotated[
    str, typer.Option(metavar="CODE", help="承办的乡镇或村 · The town or village that handles it.")
]
_SourceOption = Annotated[str, typer.Option(help="来源系统 · The other system.")]

_STATUS_ZH: Final = {"sent": "已下派", "taken": "已接收", "settled": "已办结", "returned": "已退回"}
_CONTACT: Final = {
    "shown": "",
    "none": "未随单 · the order came without",
    "no_key": "承办单位密钥未知,未随单 · nobody knew the handler's key",
    "withheld": "仅承办单位可见 · for its handler alone",
    "erased": "已删除 · erased",
    "unopened": "本节点无对应密钥 · no key here opens it",
    "node_down": "节点未运行,不显示 · not shown while the node is down: no log would say so",
}
_EXPORT_HEADER: Final = (
    *("source", "source_id", "status", "text", "handler", "result_time", "actor", "event"),
    *("created", "due", "overdue", "order"),
)


def topic() -> Any:
    """The topic of the desk that serves these."""
    from huying.node.desk import NODE_TOPICS

    return next(one for one in NODE_TOPICS if one.name == "Hotline")


def group() -> typer.Typer:
    """The group of commands; the hub adds its own."""
    made = typer.Typer(no_args_is_help=True, help="12345热线工单 · Hotline orders.")
    made.command(name="list")(list_)
    made.command()(show)
    made.command()(take)
    made.command()(settle)
    made.command(name="return")(return_)
    made.command()(export)
    return made


def list_(
    ctx: typer.Context,
    handler: _HandlerOption = "",
    source: _SourceOption = "",
    status: Annotated[
        str, typer.Option(metavar="STATUS", help="sent, taken, settled, returned.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="最多几条 · At most so many.")] = 100,
    *,
    only_open: Annotated[bool, typer.Option("--open", help="未办结 · Not settled.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="超期 · Past due.")] = False,
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="疑似重复 · Like an earlier one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """工单列表,新的在前 · List orders, the newest first."""
    from huying.wire.v1 import hotline_pb2 as pb

    chosen = [
        (only_open, pb.ORDER_FILTER_OPEN),
        (overdue, pb.ORDER_FILTER_OVERDUE),
        (near_duplicates, pb.ORDER_FILTER_NEAR_DUPLICATE),
    ]
    filters = [value for wanted, value in chosen if wanted]
    if len(filters) > 1:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "--open: only one of --open, --overdue, --near-duplicates"
        )
    request = pb.ListOrdersRequest(
        handler=handler,
        source=source,
        status=_status(status),
        filter=filters[0] if filters else pb.ORDER_FILTER_UNSPECIFIED,
    )
    orders = list(_pages(ctx, request, limit))
    if as_json:
        from huying.node.cli.output import print_json

        print_json({"orders": [order_document(order) for order in orders]})
        return
    _print_list(orders)


def show(
    ctx: typer.Context,
    order: OrderArgument,
    actor: ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """查看一张工单;来电人联系方式仅承办单位可见,查看记入日志 · Show one order.

    The caller's contact is shown at its handler and where it was imported; the log says who looked.
    """
    from huying.node.cli.output import print_json, print_pairs
    from huying.node.cli.plain import enum_name, to_plain
    from huying.wire.v1 import hotline_pb2 as pb

    request = pb.ShowOrderRequest(
        record=context.parse_hex(order, "ORDER"), actor=context.acting(actor)
    )
    found = ask_desk(ctx, topic(), "ShowOrder", request)
    state = str(enum_name(pb.ContactState.DESCRIPTOR, found.contact_state))
    document = order_document(found.order)
    document["contact"] = to_plain(found.contact) if state == "shown" else None
    document["contact_state"] = state
    if as_json:
        print_json(document)
        return
    pairs = _pairs(found.order)
    if state == "shown":
        contact = found.contact
        said = " ".join(filter(None, (contact.name, contact.phone, contact.address)))
        pairs.append(("来电人 · caller", said))
    else:
        pairs.append(("来电人 · caller", _CONTACT.get(state, state)))
    print_pairs(pairs)


def take(
    ctx: typer.Context,
    order: OrderArgument,
    actor: ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """接收工单(承办单位)· Take an order, at its handler."""
    _step(ctx, "TakeOrder", order, actor=actor, as_json=as_json)


def settle(
    ctx: typer.Context,
    order: OrderArgument,
    text: Annotated[str, typer.Option(help="办理结果,不写个人信息 · What was done.")],
    event: Annotated[
        str, typer.Option(metavar="HEX", help="本级的事件编号 · The handler's own event.")
    ] = "",
    actor: ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """办结工单(承办单位)· Settle an order, at its handler. Numbers of people are masked."""
    _step(ctx, "SettleOrder", order, text=text, event=event, actor=actor, as_json=as_json)


def return_(
    ctx: typer.Context,
    order: OrderArgument,
    reason: Annotated[str, typer.Option(help="退回理由 · Why it is not this node's.")],
    actor: ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """退回工单(承办单位)· Return an order, at its handler."""
    _step(ctx, "ReturnOrder", order, text=reason, actor=actor, as_json=as_json)


def export(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=".csv 或 · or .xlsx")
    ],
    since: Annotated[
        str, typer.Option(metavar="TIME", help="此后有结果的,如 2026-01-31 · Results since.")
    ] = "",
    source: _SourceOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """导出办理结果,用来源系统自己的编号 · Export results under the other system's own ids."""
    from huying.node.cli.output import print_json, print_note
    from huying.node.sheets import write_table
    from huying.wire.v1 import hotline_pb2 as pb

    since_micros = parse_time(since, "--since") if since else 0
    request = pb.ListOrdersRequest(
        source=source, filter=pb.ORDER_FILTER_RESULT, since_micros=since_micros
    )
    rows = (_export_row(order) for order in _pages(ctx, request))
    try:
        count = write_table(output, _EXPORT_HEADER, rows, sheet="results")
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--output: {error.strerror}") from None
    if as_json:
        print_json({"file": str(output), "rows": count})
        return
    print_note(f"已写出 {count} 条结果:{output}", f"{count} results written to {output}")


def order_document(view: hotline_pb2.OrderView) -> dict[str, Any]:
    """One order as JSON: its fields, where it stands, where its newest version stands."""
    from huying.node.cli.plain import to_plain

    return {
        "order": view.record.hex(),
        "home": view.home,
        "status": _status_name(view),
        "text": view.text,
        "actor": view.actor,
        "event": view.event.hex() or None,
        "result_micros": view.result_micros or None,
        "overdue": view.overdue,
        "has_contact": view.has_contact,
        "near_duplicate_of": view.order.near_duplicate_of.hex() or None,
        "fields": to_plain(view.order),
        "origin": view.origin,
        "index": view.index,
        "written_micros": view.written_micros,
    }


def print_step(response: hotline_pb2.OrderStepResponse, *, as_json: bool) -> None:
    """What a step came to."""
    from huying.node.cli.output import print_json, print_note, print_pairs

    if as_json:
        print_json(
            {
                **order_document(response.order),
                "unchanged": response.unchanged,
                "masked": response.masked,
                "without_contact": response.without_contact,
            }
        )
        return
    print_pairs(_pairs(response.order))
    if response.unchanged:
        print_note("原已如此,未再写入", "it stood so already; nothing was written")
    if response.masked:
        print_note("文中的号码已隐去", "a number in the text was masked")
    if response.without_contact:
        print_note("承办单位密钥未知,未附联系方式", "no key of the handler: sent without contact")


def _step(
    ctx: typer.Context,
    method: str,
    order: str,
    *,
    actor: str,
    as_json: bool,
    event: str = "",
    text: str = "",
) -> None:
    from huying.wire.v1 import hotline_pb2 as pb

    request = pb.OrderStepRequest(
        record=context.parse_hex(order, "ORDER"),
        event=context.parse_hex(event, "--event") if event else b"",
        text=text,
        actor=context.acting(actor),
    )
    print_step(ask_desk(ctx, topic(), method, request), as_json=as_json)


def _pages(
    ctx: typer.Context, request: hotline_pb2.ListOrdersRequest, most: int | None = None
) -> Iterator[hotline_pb2.OrderView]:
    """Every order that is asked for, page by page."""
    from huying.common.limits import LIST_ENTRIES_MAX

    given = 0
    while most is None or given < most:
        left = LIST_ENTRIES_MAX if most is None else most - given
        request.limit = min(left, LIST_ENTRIES_MAX)
        page = ask_desk(ctx, topic(), "ListOrders", request)
        yield from page.orders
        given += len(page.orders)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return


def _status(name: str) -> hotline_pb2.OrderStatus.ValueType:
    from huying.wire.v1 import hotline_pb2 as pb

    if not name:
        return pb.ORDER_STATUS_UNSPECIFIED
    if name not in _STATUS_ZH:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--status: one of {', '.join(_STATUS_ZH)}")
    return pb.OrderStatus.Value(f"ORDER_STATUS_{name.upper()}")


def _status_name(view: hotline_pb2.OrderView) -> str:
    from huying.node.cli.plain import enum_name
    from huying.wire.v1 import hotline_pb2 as pb

    return str(enum_name(pb.OrderStatus.DESCRIPTOR, view.status))


def _iso(micros: int) -> str:
    if not micros:
        return ""
    try:
        at = datetime.fromtimestamp(micros / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _export_row(view: hotline_pb2.OrderView) -> tuple[str, ...]:
    order = view.order
    return (
        order.source,
        order.source_id,
        _status_name(view),
        view.text,
        order.handler,
        _iso(view.result_micros),
        view.actor,
        view.event.hex(),
        _iso(order.created_micros),
        _iso(order.due_micros),
        "yes" if view.overdue else "",
        view.record.hex(),
    )


def _pairs(view: hotline_pb2.OrderView) -> list[tuple[str, object]]:
    from huying.node.cli.output import when

    order, status = view.order, _status_name(view)
    pairs: list[tuple[str, object]] = [
        ("工单 · order", view.record.hex()),
        ("来源 · source", f"{order.source} {order.source_id}"),
        ("状态 · status", f"{_STATUS_ZH.get(status, status)} {status}"),
        ("承办 · handler", order.handler),
        ("类别 · category", order.category),
        ("诉求 · descriptor", order.descriptor),
        ("内容 · description", order.description),
        ("来电 · created", when(order.created_micros)),
        ("期限 · due", when(order.due_micros) + (" 已超期 overdue" if view.overdue else "")),
        ("来源状态 · at the source", order.source_status or "—"),
        ("结果 · result", view.text or "—"),
        ("结果时间 · written", when(view.result_micros)),
    ]
    if order.near_duplicate_of:
        pairs.append(("疑似重复 · looks like", order.near_duplicate_of.hex()))
    return pairs


def _print_list(orders: list[hotline_pb2.OrderView]) -> None:
    from huying.node.cli.output import print_table, when

    rows = [
        (
            view.record.hex(),
            view.order.source_id,
            view.order.category,
            view.order.handler,
            _STATUS_ZH.get(_status_name(view), ""),
            when(view.order.created_micros),
            when(view.order.due_micros),
            " ".join(
                word
                for word, wanted in (
                    ("超期", view.overdue),
                    ("疑似重复", bool(view.order.near_duplicate_of)),
                )
                if wanted
            ),
        )
        for view in orders
    ]
    headings = ("=工单 · order", "来源编号 · source id", "类别 · category", "=承办 · handler")
    times = ("状态 · status", "来电 · created", "期限 · due", "提示 · remarks")
    print_table((*headings, *times), rows)
