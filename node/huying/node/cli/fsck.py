"""`huying fsck`: rebuild every root from the entries, and compare with what was signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from huying.common.errors import ADVICE, Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.common.note import VerifierKey
    from huying.common.roster import Pin
    from huying.node.config import Config
    from huying.node.store.reader import FileReader

__all__ = ["register"]

QUARANTINED_SHOWN_MAX = 1000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fsck)


def fsck(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """核对数据库:逐条重算 · Check the store: every hash, proof, signature and number.

    Works beside a running node, and while it is down; it changes nothing.
    """
    from huying.node import fsck as checker
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_json

    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        report = checker.check(reader, _keys(loaded, reader))
        quarantined = _quarantined(reader)
    document = {
        "ok": report.ok,
        "feeds": report.feeds,
        "entries_checked": report.entries_checked,
        "openings_checked": report.openings_checked,
        "checkpoints_checked": report.checkpoints_checked,
        "signatures_checked": report.signatures_checked,
        "rows_checked": report.rows_checked,
        "problem_count": report.problem_count,
        "problems": report.problems,
        "quarantined": quarantined,
    }
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not report.ok:
        raise typer.Exit(ADVICE[Code.CORRUPT].exit_code)


def _keys(config: Config, reader: FileReader) -> dict[str, VerifierKey]:
    """Every feed key this node knows, by origin: from pin files, and from MEMBER entries."""
    from huying.common.note import VerifierKey
    from huying.node import pins
    from huying.node.enrol import own_pin

    files = [own_pin(config)]
    for folder in (config.pins_dir, config.children_dir):
        files += pins.load_folder(folder)
    known: list[Pin] = [file.pin() for file in files]
    known += reader.members()
    keys: dict[str, VerifierKey] = {}
    for pin in known:
        try:
            key = VerifierKey.parse(pin.feed_key)
        except HuyingError:
            continue  # a weak or malformed key that an entry brought verifies nothing
        keys.setdefault(key.name, key)
    return keys


def _quarantined(reader: FileReader) -> list[dict[str, Any]]:
    found = [
        {
            "origin": feed.origin,
            "index": index,
            "code": Code(code).name if code in set(Code) else str(code),
            "detail": detail,
        }
        for feed in reader.feeds()
        if feed.quarantined
        for index, code, detail, _ in reader.quarantined(feed.feed_id, 0, feed.size)
    ]
    return found[:QUARANTINED_SHOWN_MAX]


def _print(document: dict[str, Any]) -> None:
    from huying.node.cli.output import print_pairs, print_table

    verdict = "完好 · sound" if document["ok"] else "有问题 · NOT sound"
    print_pairs(
        [
            ("结论 · verdict", verdict),
            ("数据流 · feeds", document["feeds"]),
            ("条目 · entries", document["entries_checked"]),
            ("明文 · openings", document["openings_checked"]),
            ("检查点 · checkpoints", document["checkpoints_checked"]),
            ("签名 · signatures", document["signatures_checked"]),
            ("投影行 · rows", document["rows_checked"]),
        ]
    )
    if document["problem_count"]:
        print_table(
            (f"问题 · {document['problem_count']} problems",),
            [(problem,) for problem in document["problems"]],
        )
        print_pairs(
            [("怎么办 · what to do", "请停用该数据库并联系上级 · stop the node, keep the files")]
        )
    if document["quarantined"]:
        print_table(
            ("被隔离 · quarantined", ">#", "原因 · reason", "详情 · detail"),
            [
                (each["origin"], each["index"], each["code"], each["detail"])
                for each in document["quarantined"]
            ],
        )
