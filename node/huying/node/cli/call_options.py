"""What the commands of `huying call` share: arguments, attachments, and taking one step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.codes import Level, level, parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1 import api_pb2, calls_pb2

__all__ = [
    "ActorOption",
    "AttachOption",
    "CallArgument",
    "DepartmentOption",
    "JsonOption",
    "ReasonOption",
    "RequestOption",
    "UrgencyOption",
    "attachments",
    "choose",
    "print_step",
    "request_bytes",
    "take_step",
]

_CHUNK_BYTES: Final = 1024 * 1024

CallArgument = Annotated[
    str, typer.Argument(metavar="CALL", help="呼叫编号 · The call's id, hex or UUID.")
]
RequestOption = Annotated[
    str, typer.Option(metavar="HEX", help="请求编号,重发不会重复写入 · A repeat writes nothing.")
]
ActorOption = Annotated[str, typer.Option(help="经办人代号 · Who acts, a staff pseudonym.")]
DepartmentOption = Annotated[
    str, typer.Option(help="部门,默认主办 · The department; by default the lead.")
]
ReasonOption = Annotated[str, typer.Option(help="理由 · Why.")]
UrgencyOption = Annotated[
    str, typer.Option(metavar="LEVEL", help="紧急程度 · routine, urgent, critical.")
]
AttachOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--attach",
        metavar="FILE",
        help="附件,只记名称与摘要,可多次 · Named by its digest; the bytes stay here.",
    ),
]


_PROPOSED: Final = "已发出,应答方收到才算数 · sent; it counts once received (call show)"


def take_step(
    ctx: typer.Context,
    call: str,
    actor: str,
    request_id: str,
    *,
    as_json: bool,
    **step: Any,
) -> None:
    """Ask the node to write a step, e.g. `accept=calls_pb2.Accept()`; print where it stands."""
    from huying.wire.v1 import api_pb2, calls_pb2

    message = calls_pb2.CallStep(call=context.parse_hex(call, "CALL"), actor=actor, **step)
    for name, value in step.items():
        getattr(message, name).CopyFrom(value)  # also where all its fields are empty
        getattr(message, name).SetInParent()
    request = api_pb2.TakeCallStepRequest(step=message, request_id=request_bytes(request_id))
    with context.client(context.config(ctx)) as client:
        response = client.take_call_step(request)
    # Whoever answers is above a town: what a town or a village writes is a proposal.
    home = parse_origin(response.receipt.origin).code
    print_step(response, as_json=as_json, proposed=level(home) >= Level.TOWN)


def request_bytes(text: str) -> bytes:
    """The id of a request, or none. Raises HuyingError(INVALID_ARGUMENT)."""
    return context.parse_hex(text, "--request-id") if text else b""


def print_step(
    response: api_pb2.CallStepResponse, *, as_json: bool, proposed: bool = False
) -> None:
    """Where a step now stands; a proposal counts only once the answering node has taken it."""
    from huying.node.cli.output import print_json, print_pairs
    from huying.node.cli.render import receipt_document

    receipts = [response.receipt, *response.further]
    if as_json:
        first, *further = map(receipt_document, receipts)
        print_json({"call": response.call.hex(), "receipt": first, "further": further})
        return
    repeated = response.receipt.repeated_request
    print_pairs(
        [
            ("呼叫 · call", response.call.hex()),
            *(("位置 · entry", f"{each.origin} #{each.index}") for each in receipts),
            *([("重复请求 · repeated", "已写过 written before")] if repeated else []),
            *([("状态 · state", _PROPOSED)] if proposed else []),
        ]
    )


def attachments(files: list[Path] | None) -> list[calls_pb2.Attachment]:
    """Name, size and SHA-256 of each file. Raises HuyingError(INVALID_ARGUMENT)."""
    from huying.wire.v1 import calls_pb2

    found = []
    for path in files or ():
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size_bytes += len(chunk)
        except OSError as error:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"--attach: {path}: {error.strerror}"
            ) from None
        found.append(
            calls_pb2.Attachment(name=path.name, sha256=digest.digest(), size_bytes=size_bytes)
        )
    return found


def choose(enum: Any, text: str, option: str) -> Any:
    """A value of a wire enum by its short name; 0 for none.

    Raises HuyingError(INVALID_ARGUMENT), naming the choices.
    """
    from huying.node.cli.plain import enum_name

    if not text:
        return 0
    names = {
        str(enum_name(enum.DESCRIPTOR, one.number)): one.number for one in enum.DESCRIPTOR.values
    }
    wanted = text.replace("-", "_")
    if not names.get(wanted):
        known = ", ".join(name.replace("_", "-") for name, number in names.items() if number)
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: one of {known}")
    return names[wanted]
