"""`huying bundle`: feeds as files, for a gap that no link crosses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli.administer import administer
from huying.node.cli.context import JsonOption

__all__ = ["group"]

ToOption = Annotated[str, typer.Option("--to", help="收件节点代码 · The neighbour it goes to.")]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="数据包文件,不得已存在 · The file; must not exist.")
]
AfterLastOption = Annotated[
    bool,
    typer.Option(
        "--after-last", help="视前一包已送达,只续写其后 · Take it that the last one has arrived."
    ),
]
FromStartOption = Annotated[
    bool,
    typer.Option("--from-start", help="视对方一无所有,从头写起 · As if it held nothing."),
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option("--receipt", help="回执文件,默认 FILE.receipt · The receipt's file."),
]
CodeOption = Annotated[str, typer.Option("--code", help="短码,代替回执 · In place of a receipt.")]
FromOption = Annotated[str, typer.Option("--from", help="谁报的短码 · Who said the code.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True,
        help="数据包:过网闸、U 盘携带 · Feeds as files, for one-way gaps and sticks.",
    )
    made.command(name="export")(export)
    made.command(name="import")(import_)
    made.command(name="receipt")(receipt)
    return made


def export(
    ctx: typer.Context,
    *,
    to: ToOption,
    output: OutputOption,
    after_last: AfterLastOption = False,
    from_start: FromStartOption = False,
    as_json: JsonOption = False,
) -> None:
    """写数据包 · Write what the neighbour has not acknowledged into one sealed file.

    Each bundle repeats everything since the last acknowledgement, so one that was lost does no
    harm. With --after-last it joins on to the one before, which must then be imported first.
    """
    from huying.node.carried_file import check_free, write_carried
    from huying.node.cli.output import count, print_json, print_note, print_pairs
    from huying.wire.v1 import admin_pb2

    if after_last and from_start:
        raise HuyingError(Code.INVALID_ARGUMENT, "--after-last: not together with --from-start")
    check_free(output)
    request = admin_pb2.ExportBundleRequest(
        recipient=to, after_last=after_last, from_start=from_start
    )
    made = administer(ctx, "ExportBundle", request)
    write_carried(output, made.bundle)
    document = {
        "file": str(output),
        "recipient": to,
        "number": made.number,
        "entries": made.entries,
        "bytes": len(made.bundle),
        "more": made.more,
    }
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("文件 file", output),
            ("收件 recipient", to),
            ("编号 number", made.number),
            ("条目 entries", count(made.entries)),
            ("字节 bytes", count(len(made.bundle))),
        ]
    )
    if made.more:
        print_note(
            "一包装不下,请用 --after-last 再写一包",
            "there is more: export again, with --after-last",
        )


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="数据包文件 · The bundle's file.")],
    *,
    receipt_file: ReceiptOption = None,
    as_json: JsonOption = False,
) -> None:
    """读数据包 · Check a bundle, take all of it or nothing, and write the receipt.

    Carry the receipt back to the sender. Where nothing can go back, say the short code instead.
    """
    from huying.common.limits import BUNDLE_BYTES_MAX
    from huying.node.carried_file import check_free, read_carried
    from huying.node.cli.output import count, print_json, print_note, print_pairs
    from huying.wire.v1 import admin_pb2

    data = read_carried(file, BUNDLE_BYTES_MAX)
    if receipt_file is not None:
        check_free(receipt_file)
    taken = administer(ctx, "ImportBundle", admin_pb2.ImportBundleRequest(bundle=data))
    place = receipt_file or _receipt_place(file, taken.number)
    written = _write_receipt(place, taken.receipt, asked_for=receipt_file is not None)
    document: dict[str, Any] = {
        "sender": taken.sender,
        "number": taken.number,
        "entries": taken.entries,
        "receipt": str(place) if written else None,
        "code": taken.short_code,
        "skipped": list(taken.skipped),
    }
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("来自 sender", taken.sender),
            ("编号 number", taken.number),
            ("新条目 entries", count(taken.entries)),
            ("回执 receipt", place if written else "—"),
            ("短码 code", taken.short_code),
        ]
    )
    for origin in taken.skipped:
        print_note(f"未接收:{origin}", f"not taken: {origin}; huying status says why")


def _receipt_place(bundle: Path, number: int) -> Path:
    """Beside the bundle; an older receipt of that name stays, and this one's bears its number."""
    place = bundle.with_name(f"{bundle.name}.receipt")
    if os.path.lexists(place):
        return bundle.with_name(f"{bundle.name}.{number}.receipt")
    return place


def _write_receipt(place: Path, data: bytes, *, asked_for: bool) -> bool:
    """The bundle is imported by now, so a receipt that can't be written takes nothing back.

    Raises HuyingError where the place was asked for.
    """
    from huying.node.carried_file import write_carried
    from huying.node.cli.output import print_note

    try:
        write_carried(place, data)
    except HuyingError as error:
        if asked_for:
            raise
        print_note(
            "已导入;回执写不下来,请报短码或另指 --receipt",
            f"imported, but {error.detail}; say the short code",
        )
        return False
    return True


def receipt(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="回执文件 · The receipt's file.")] = None,
    *,
    code: CodeOption = "",
    sender: FromOption = "",
    as_json: JsonOption = False,
) -> None:
    """收回执 · Take a receipt, or a short code with who said it."""
    from huying.common.limits import RECEIPT_BYTES_MAX
    from huying.node.carried_file import read_carried
    from huying.node.cli.output import print_json, print_pairs
    from huying.wire.v1 import admin_pb2

    if (file is None) == (not code):
        raise HuyingError(Code.INVALID_ARGUMENT, "FILE: either a receipt's file, or --code")
    if code and not sender:
        raise HuyingError(Code.INVALID_ARGUMENT, "--from: whose code it is")
    request = admin_pb2.TakeBundleReceiptRequest(short_code=code, recipient=sender)
    if file is not None:
        request.receipt = read_carried(file, RECEIPT_BYTES_MAX)
    taken = administer(ctx, "TakeBundleReceipt", request)
    document = {
        "recipient": taken.recipient,
        "number": taken.number,
        "outstanding": taken.outstanding,
    }
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("来自 from", taken.recipient),
            ("已确认 acknowledged", taken.number),
            ("待确认 outstanding", taken.outstanding),
        ]
    )
