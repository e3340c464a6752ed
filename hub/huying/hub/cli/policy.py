"""`huying policy` and `huying calendar`: time limits and working days, as versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.common.limits import POLICY_FILE_BYTES_MAX, VERSIONS_MAX
from huying.node.cli.context import JsonOption

__all__ = ["calendar_group", "policy_group"]

_OfOption = Annotated[
    str,
    typer.Option(metavar="CODE", help="哪个节点的,默认本级或最近的上级 · Whose; this, or above."),
]
_VersionOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="版本,默认现行;0 为自带 · Which; 0: shipped."),
]
_FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="TOML 文件 · A TOML file.")]
_LimitOption = Annotated[
    int, typer.Option(min=1, max=VERSIONS_MAX, help="最多几个版本 · At most so many versions.")
]
_HISTORY_DEFAULT: Final = 20


def policy_group() -> typer.Typer:
    """The commands of the policy."""
    made = typer.Typer(no_args_is_help=True, help="时限与规则,按版本 · Time limits, by version.")

    @made.command()
    def show(
        ctx: typer.Context,
        of: _OfOption = "",
        version: _VersionOption = None,
        *,
        as_json: JsonOption = False,
    ) -> None:
        """显示现行的或某一版时限,可改后再 set · Show it, as the file that set reads."""
        from huying.hub.policy_file import format_policy

        found = _ask(ctx, "ShowPolicy", _shown(of, version))
        _show(found, found.policy, format_policy, as_json=as_json)

    @made.command("set")
    def set_(ctx: typer.Context, file: _FileArgument, *, as_json: JsonOption = False) -> None:
        """发布下一版时限,新收到的呼叫适用 · Publish the next, for new calls."""
        from huying.hub.policy_file import parse_policy
        from huying.wire.v1 import policy_desk_pb2

        policy = parse_policy(_read(file), str(file))
        request = policy_desk_pb2.SetPolicyRequest(policy=policy)
        _print_set(_ask(ctx, "SetPolicy", request), as_json=as_json)

    @made.command()
    def history(
        ctx: typer.Context,
        of: _OfOption = "",
        limit: _LimitOption = _HISTORY_DEFAULT,
        *,
        as_json: JsonOption = False,
    ) -> None:
        """历次版本,何时发布 · The versions, and when they were published."""
        _print_history(_ask(ctx, "PolicyHistory", _history(of, limit)), as_json=as_json)

    return made


def calendar_group() -> typer.Typer:
    """The commands of the working calendar."""
    made = typer.Typer(no_args_is_help=True, help="工作日历,按版本 · Working days, by version.")

    @made.command()
    def show(
        ctx: typer.Context,
        of: _OfOption = "",
        version: _VersionOption = None,
        *,
        as_json: JsonOption = False,
    ) -> None:
        """显示现行的或某一版日历,可改后再 set · Show it, as the file that set reads."""
        from huying.hub.policy_file import format_calendar

        found = _ask(ctx, "ShowCalendar", _shown(of, version))
        _show(found, found.calendar, format_calendar, as_json=as_json)

    @made.command("set")
    def set_(ctx: typer.Context, file: _FileArgument, *, as_json: JsonOption = False) -> None:
        """发布下一版日历,从此按它计算 · Publish the next; it counts from now."""
        from huying.hub.policy_file import parse_calendar
        from huying.wire.v1 import policy_desk_pb2

        calendar = parse_calendar(_read(file), str(file))
        request = policy_desk_pb2.SetCalendarRequest(calendar=calendar)
        _print_set(_ask(ctx, "SetCalendar", request), as_json=as_json)

    @made.command()
    def history(
        ctx: typer.Context,
        of: _OfOption = "",
        limit: _LimitOption = _HISTORY_DEFAULT,
        *,
        as_json: JsonOption = False,
    ) -> None:
        """历次版本,何时发布 · The versions, and when they were published."""
        _print_history(_ask(ctx, "CalendarHistory", _history(of, limit)), as_json=as_json)

    return made


def _ask(ctx: typer.Context, method: str, request: Any) -> Any:
    from huying.hub.desk import POLICIES
    from huying.node.cli.administer import ask_desk

    return ask_desk(ctx, POLICIES, method, request)


def _shown(of: str, version: int | None) -> Any:
    from huying.wire.v1 import policy_desk_pb2

    if version is not None and not 0 <= version < 2**31:
        raise HuyingError(Code.INVALID_ARGUMENT, "--version: a number from 0")
    return policy_desk_pb2.ShowVersionRequest(of=of, version=version)


def _history(of: str, limit: int) -> Any:
    from huying.wire.v1 import policy_desk_pb2

    return policy_desk_pb2.VersionHistoryRequest(of=of, limit=limit)


def _read(file: Path) -> str:
    """The text of a file that somebody wrote. Raises HuyingError(INVALID_ARGUMENT)."""
    try:
        with file.open("rb") as stream:
            data = stream.read(POLICY_FILE_BYTES_MAX + 1)
        if len(data) > POLICY_FILE_BYTES_MAX:
            why = f"over {POLICY_FILE_BYTES_MAX} bytes; this is no policy and no calendar"
            raise HuyingError(Code.INVALID_ARGUMENT, f"{file}: {why}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{file}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        why = f"can't be read: {error.strerror}"
        raise HuyingError(Code.INVALID_ARGUMENT, f"{file}: {why}") from None


def _show(found: Any, message: Any, write: Callable[[Any], str], *, as_json: bool) -> None:
    from huying.node.cli.output import print_bytes, print_json

    in_force = message.version == found.in_force
    if as_json:
        from google.protobuf.json_format import MessageToDict

        shown = MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        document = {"of": found.of, "in_force": in_force, message.DESCRIPTOR.name.lower(): shown}
        print_json(document)
        return
    word = (
        "现行 in force" if in_force else f"现行为 {found.in_force} · {found.in_force} is in force"
    )
    print_bytes(f"# {found.of}: {word}\n{write(message)}".encode())


def _print_set(found: Any, *, as_json: bool) -> None:
    from huying.node.cli.output import print_json, print_pairs

    if as_json:
        print_json(
            {
                "version": found.version,
                "origin": found.origin,
                "index": found.index,
                "repeated": found.repeated_before,
            }
        )
        return
    repeated = "(早已发布 · before)" if found.repeated_before else ""
    print_pairs(
        [
            ("版本 · version", f"{found.version}{repeated}"),
            ("条目 · entry", f"{found.origin} #{found.index}"),
        ]
    )


def _print_history(found: Any, *, as_json: bool) -> None:
    from huying.node.cli.output import print_json, print_table, when

    if as_json:
        versions = [
            {
                "version": one.version,
                "title": one.title,
                "origin": one.origin,
                "index": one.index,
                "time_micros": one.time_micros,
            }
            for one in found.versions
        ]
        print_json({"of": found.of, "versions": versions})
        return
    rows = [
        (one.version, one.title, when(one.time_micros), f"#{one.index}") for one in found.versions
    ]
    print_table([">版本 · version", "标题 · title", "发布 · written", ">条目 · entry"], rows)
