"""`huying hotline import|check|assign`: what a tier with children does with hotline orders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.codes import parse_code
from huying.common.errors import ADVICE, Code
from huying.node.cli import context
from huying.node.cli import hotline as node_hotline
from huying.node.cli.administer import ask_desk
from huying.node.cli.context import JsonOption
from huying.node.cli.hotline import ActorOption, OrderArgument
from huying.node.on_error import OnError

if TYPE_CHECKING:
    from huying.hub.hotline_import import ErrorFile, Totals
    from huying.wire.v1 import hotline_pb2

__all__ = ["group"]

_FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="表格 .csv .xlsx .xls .ods · The table.")
]
_MappingOption = Annotated[
    Path,
    typer.Option(
        metavar="MAP.toml", help="映射文件,或随附的 nyc311、12345 · The mapping, or a shipped one."
    ),
]
_ErrorsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="全部错误写入此文件 · Every error goes there."),
]


def group() -> typer.Typer:
    """The node's commands, and the hub's."""
    made = node_hotline.group()
    made.command(name="import")(import_)
    made.command()(check)
    made.command()(assign)
    return made


class _Desk:
    """`huying.hub.hotline_import.Desk` over the API, or in this process while no node runs."""

    def __init__(self, ctx: typer.Context) -> None:
        from huying.hub.desk import HUB_TOPICS

        self._ctx = ctx
        self._topic = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")

    def ask(self, method: str, request: Any) -> Any:
        return ask_desk(self._ctx, self._topic, method, request)

    def list_handlers(self) -> hotline_pb2.ListHandlersResponse:
        from huying.wire.v1 import hotline_pb2

        found: hotline_pb2.ListHandlersResponse = self.ask(
            "ListHandlers", hotline_pb2.ListHandlersRequest()
        )
        return found

    def import_orders(
        self, request: hotline_pb2.ImportOrdersRequest
    ) -> hotline_pb2.ImportOrdersResponse:
        found: hotline_pb2.ImportOrdersResponse = self.ask("ImportOrders", request)
        return found


def import_(
    ctx: typer.Context,
    file: _FileArgument,
    mapping: _MappingOption,
    on_error: Annotated[
        OnError | None,
        typer.Option(
            help="有错的行:stop 全部不导入(默认),skip 跳过 · All or nothing, or the good rows."
        ),
    ] = None,
    errors: _ErrorsOption = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只检查,不写入 · Check and count, write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """导入工单,可重复执行 · Import orders; running it again writes nothing twice."""
    from huying.hub.hotline_import import import_file
    from huying.hub.hotline_mapping import load_mapping
    from huying.node.cli.progress import progress

    loaded = load_mapping(_mapping_file(mapping))
    with _error_file(errors) as noted, progress("导入 · import") as say:
        totals = import_file(
            file,
            loaded,
            _Desk(ctx),
            on_error=on_error or loaded.on_error,
            dry_run=dry_run,
            errors=noted,
            progress=say,
        )
    _finish(totals, on_error or loaded.on_error, as_json=as_json)


def check(
    ctx: typer.Context,
    file: _FileArgument,
    mapping: _MappingOption,
    errors: _ErrorsOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """核对表格与映射文件,不写入 · Check a table and its mapping; nothing is written."""
    from huying.hub.hotline_import import check_file
    from huying.hub.hotline_mapping import load_mapping
    from huying.hub.hotline_rows import Directory

    loaded = load_mapping(_mapping_file(mapping))
    handlers = _Desk(ctx).list_handlers()
    names = {one.code: one.name for one in handlers.handlers}
    directory = Directory(handlers.code, names)
    with _error_file(errors) as noted:
        totals = check_file(file, loaded, directory, frozenset(names), noted)
    _finish(totals, OnError.STOP, as_json=as_json)


def assign(
    ctx: typer.Context,
    order: OrderArgument,
    to: Annotated[str, typer.Option(metavar="CODE", help="新的承办单位 · The new handler.")],
    reason: Annotated[str, typer.Option(help="改派理由 · Why.")] = "",
    actor: ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """改派工单:联系方式重新加密,原承办单位的一份删除 · Give an order to another handler.

    The contact is sealed to the new handler; what was sealed to the one before is erased.
    """
    from huying.wire.v1 import hotline_pb2

    request = hotline_pb2.AssignOrderRequest(
        record=context.parse_hex(order, "ORDER"),
        handler=parse_code(to, "--to"),
        actor=context.acting(actor),
        reason=reason,
    )
    node_hotline.print_step(_Desk(ctx).ask("AssignOrder", request), as_json=as_json)


def _mapping_file(path: Path) -> Path:
    """The file that was named, or one that comes with the program."""
    from huying.hub.mappings import shipped

    if path.parent == Path() and not path.exists() and shipped(path.name).is_file():
        return shipped(path.name)
    return path


@contextlib.contextmanager
def _error_file(path: Path | None) -> Iterator[ErrorFile]:
    from huying.hub.hotline_import import ErrorFile

    noted = ErrorFile(path)
    try:
        yield noted
    finally:
        noted.close()


def _document(totals: Totals) -> dict[str, Any]:
    return {
        "rows": totals.rows,
        "new": totals.new,
        "changed": totals.changed,
        "same": totals.same,
        "erased": totals.erased,
        "refused": totals.refused,
        "near_duplicates": totals.near_duplicates,
        "flagged": totals.flagged,
        "without_contact": totals.without_contact,
        "unknown_handlers": totals.unknown_handlers,
        "dry_run": totals.dry_run,
        "written": totals.written,
        "encoding": totals.encoding or None,
        "near": [
            {"row": row, "order": order.hex(), "near_duplicate_of": earlier.hex()}
            for row, order, earlier in totals.near
        ],
        "errors": [
            {"row": error.number, "column": error.column, "what": error.what}
            for error in totals.errors
        ],
    }


def _finish(totals: Totals, on_error: OnError, *, as_json: bool) -> None:
    """Print what came of it; exits as a refused request where that was nothing."""
    from huying.node.cli.output import count, print_json, print_note, print_pairs

    stopped = bool(totals.refused) and on_error is OnError.STOP
    if as_json:
        print_json(_document(totals))
    else:
        print_pairs(
            [
                ("行数 · rows", count(totals.rows)),
                ("新增 · new", count(totals.new)),
                ("更新 · changed", count(totals.changed)),
                ("未变 · same", count(totals.same)),
                ("已删不再导入 · erased before", count(totals.erased)),
                ("疑似重复 · near-duplicates", count(totals.near_duplicates)),
                ("无联系方式密钥 · without contact", count(totals.without_contact)),
                ("承办单位无节点 · no node", count(totals.unknown_handlers)),
                ("有误 · refused", count(totals.refused)),
            ]
        )
        for error in totals.errors:
            zh, _, en = str(error).partition(" · ")
            print_note(zh, en)
        left = totals.refused - len({error.number for error in totals.errors})
        if left > 0:
            print_note(f"另有 {left} 行有误,见 --errors", f"{left} more rows; see --errors")
        if totals.dry_run:
            print_note("仅检查,未写入", "a check: nothing was written")
        elif stopped:
            print_note("有错误,未导入任何内容", "rows are at fault; nothing was imported")
    if stopped:
        raise typer.Exit(ADVICE[Code.INVALID_ARGUMENT].exit_code)
