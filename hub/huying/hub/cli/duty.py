"""`huying duty …`: 职责清单, its versions, and whose duty a matter is."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from huying.common.limits import SUGGESTIONS_MAX
from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.on_error import OnError

__all__ = ["group"]


class Kind(enum.StrEnum):
    """Which of the lists an item is of."""

    TOWN = "town"
    SHARED = "shared"
    ADMITTED = "admitted"


_KINDS: Final = {None: 0, Kind.TOWN: 1, Kind.SHARED: 2, Kind.ADMITTED: 3}  # policy_pb2.DutyKind

_OfOption = Annotated[
    str,
    typer.Option(metavar="CODE", help="哪个节点的,默认本级或最近的上级 · Whose; this, or above."),
]
_VersionOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="版本,默认现行 · Which; the one in force.")
]
_KindOption = Annotated[
    Kind | None, typer.Option(help="类型:乡镇履行职责、配合履职、准入 · Which of the three lists.")
]
_OutOption = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FILE", help=".csv 或 .xlsx · A .csv or .xlsx file."),
]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True, help="职责清单与派单建议 · Duty lists, and whose duty a matter is."
    )
    made.command(name="import")(import_)
    made.command(name="list")(list_)
    made.command()(show)
    made.command()(versions)
    made.command()(export)
    made.command()(suggest)
    made.command()(example)
    return made


def import_(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".csv、.xlsx、.xls 或 .ods · The table.")
    ],
    title: Annotated[str, typer.Option(help="清单名称,默认文件名 · The list's; the file's.")] = "",
    on_error: Annotated[
        OnError,
        typer.Option(help="有错的行:跳过,或全部不导入 · Skip faulty rows, or import nothing."),
    ] = OnError.STOP,
    kind: _KindOption = None,
    sheet: Annotated[str, typer.Option(metavar="NAME", help="工作表,默认第一张 · Which.")] = "",
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="文字编码,默认自动识别 · Found by itself.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """从表格导入新一版清单 · Import a table as the next version of this node's list."""
    from huying.hub.cli.duty_text import print_import
    from huying.hub.desk import DUTY
    from huying.hub.duty_sheet import file_sha256, items_of
    from huying.node.cli.administer import ask_desk
    from huying.node.sheets import Import, read_sheet
    from huying.wire.v1 import duty_pb2

    importing = Import(on_error)
    table = read_sheet(file, encoding=encoding, sheet=sheet)
    items = list(items_of(table, importing, default_kind=_KINDS[kind]))
    importing.finish()
    request = duty_pb2.ImportDutyListRequest(
        title=title or file.stem, items=items, source_sha256=file_sha256(file)
    )
    response = ask_desk(ctx, DUTY, "ImportDutyList", request)
    print_import(response, importing, as_json=as_json)


def list_(
    ctx: typer.Context,
    department: Annotated[
        str, typer.Option(help="主办或协办的部门 · A department, lead or co-handler.")
    ] = "",
    kind: _KindOption = None,
    search: Annotated[str, typer.Option(metavar="TEXT", help="文字 · A text in it.")] = "",
    of: _OfOption = "",
    version: _VersionOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出清单事项 · List a duty list's items."""
    from huying.hub.cli.duty_text import print_items

    found = _items(ctx, of, version, department=department, kind=_KINDS[kind], search=search)
    print_items(found, as_json=as_json)


def show(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="编号 · The item's number.")],
    of: _OfOption = "",
    version: _VersionOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """查看一个事项 · Show an item."""
    from huying.hub.cli.duty_text import print_item
    from huying.wire.v1 import duty_pb2

    request = duty_pb2.ShowDutyItemRequest(home=of, version=version, number=number)
    print_item(_ask(ctx, "ShowDutyItem", request), as_json=as_json)


def versions(ctx: typer.Context, of: _OfOption = "", *, as_json: JsonOption = False) -> None:
    """各节点清单的历次版本 · The versions of every list that is held here."""
    from huying.hub.cli.duty_text import print_versions
    from huying.wire.v1 import duty_pb2

    request = duty_pb2.ListDutyVersionsRequest(home=of)
    print_versions(_ask(ctx, "ListDutyVersions", request), as_json=as_json)


def export(
    ctx: typer.Context,
    output: _OutOption,
    of: _OfOption = "",
    version: _VersionOption = 0,
) -> None:
    """导出清单,可改后再导入 · Export a list, as import reads it."""
    from huying.hub.cli.duty_text import list_name
    from huying.node.cli.output import print_note

    found = _items(ctx, of, version)
    count = _write(output, found.items)
    print_note(f"已导出 {count} 项:{list_name(found.list)}", f"{count} items in {output}")


def suggest(
    ctx: typer.Context,
    category: Annotated[str, typer.Option(help="类别 · Category.")] = "",
    title: Annotated[str, typer.Option(help="标题 · Title.")] = "",
    description: Annotated[str, typer.Option(help="事由 · What it is about.")] = "",
    call: Annotated[
        str, typer.Option(metavar="CALL", help="呼叫编号 · A call's id instead of these.")
    ] = "",
    of: _OfOption = "",
    limit: Annotated[int, typer.Option(min=1, max=SUGGESTIONS_MAX, help="条数 · How many.")] = 5,
    *,
    as_json: JsonOption = False,
) -> None:
    """建议由谁主办,并说明理由 · Suggest who leads, and say why."""
    from huying.hub.cli.duty_text import print_suggestions
    from huying.wire.v1 import duty_pb2

    request = duty_pb2.SuggestDutyRequest(
        call=context.parse_hex(call, "--call") if call else b"",
        category=category,
        title=title,
        description=description,
        home=of,
        limit=limit,
    )
    print_suggestions(_ask(ctx, "SuggestDuty", request), as_json=as_json)


def example(output: _OutOption) -> None:
    """写出示例清单:192 + 132 项 · Write a generated example: 192 + 132 items, 60 departments."""
    from huying.hub.duty_example import example_items
    from huying.node.cli.output import print_note

    count = _write(output, example_items())
    print_note(
        f"已写出示例数据 {count} 项,非真实清单",
        f"{count} items in {output}: a generated example, no county's list",
    )


def _items(ctx: typer.Context, of: str, version: int, **wanted: Any) -> Any:
    from huying.wire.v1 import duty_pb2

    request = duty_pb2.ListDutyItemsRequest(home=of, version=version, **wanted)
    return _ask(ctx, "ListDutyItems", request)


def _write(output: Path, items: Any) -> int:
    from huying.hub.duty_sheet import header, row_of
    from huying.node.sheets import write_table

    return write_table(output, header(), map(row_of, items), sheet="职责清单")


def _ask(ctx: typer.Context, method: str, request: Any) -> Any:
    from huying.hub.desk import DUTY
    from huying.node.cli.administer import ask_desk

    return ask_desk(ctx, DUTY, method, request)
