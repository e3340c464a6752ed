"""`huying fsck`: rebuild every root from the entries, compare with what was signed, and repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import ADVICE, Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.config import Config
    from huying.node.integrity.fsck_report import FsckReport
    from huying.node.integrity.repair_report import RepairReport
    from huying.node.store.reader import FileReader

__all__ = ["register"]

QUARANTINED_SHOWN_MAX = 1000

RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair", help="修复,须先停止节点 · Mend what can be mended; stop the node first."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fsck)


def fsck(ctx: typer.Context, *, repair: RepairOption = False, as_json: JsonOption = False) -> None:
    """核对数据库:逐条重算 · Check the store: every hash, proof, signature, number and file.

    Without --repair it works beside a running node as well, and changes nothing.
    """
    from huying.node.cli.output import print_json

    loaded = context.config(ctx)
    repaired = _repair(loaded) if repair else None
    document = _check(loaded)
    if repaired is not None:
        document["repair"] = repaired.document()
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not document["ok"]:
        raise typer.Exit(ADVICE[Code.CORRUPT].exit_code)


def _repair(config: Config) -> RepairReport:
    from huying.node.integrity.repair import repair

    return repair(config)


def _check(config: Config) -> dict[str, Any]:
    """The document; a database that can't be opened as one is a problem like another."""
    from huying.node.cli.offline import open_reader
    from huying.node.integrity.fsck_report import FsckReport

    quarantined: list[dict[str, Any]] = []
    try:
        with open_reader(config) as reader:
            report = _report(config, reader)
            quarantined = _quarantined(reader)
    except HuyingError as error:
        if error.code not in (Code.CORRUPT, Code.STORE_FAILED):
            raise
        report = FsckReport()
        report.note("database", f"can't be read: {error.detail}")
    return {
        "ok": report.ok,
        "feeds": report.feeds,
        "entries_checked": report.entries_checked,
        "openings_checked": report.openings_checked,
        "checkpoints_checked": report.checkpoints_checked,
        "signatures_checked": report.signatures_checked,
        "signatures_unknown": report.signatures_unknown,
        "rows_checked": report.rows_checked,
        "files_checked": report.files_checked,
        "problem_count": report.problem_count,
        "problems": report.problems,
        "entries_missing": report.entries_missing,
        "entries_damaged": report.entries_damaged,
        "openings_lost": report.openings_lost,
        "quarantined": quarantined,
    }


def _report(config: Config, reader: FileReader) -> FsckReport:
    from huying.node.integrity import fsck as checker
    from huying.node.integrity.file_check import check_files
    from huying.node.integrity.known_keys import KnownKeys, known_keys

    try:
        known = known_keys(config, reader)
    except HuyingError as error:
        if error.code is not Code.KEY:
            raise
        known = KnownKeys()  # which file is at fault the files' check says
    report = checker.check(reader, known.feeds, known.witnesses.values(), config.node.code)
    check_files(config, reader, report)
    return report


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

    if "repair" in document:
        _print_repair(document["repair"])
    verdict = "完好 · sound" if document["ok"] else "有问题 · NOT sound"
    pairs: list[tuple[str, object]] = [
        ("结论 · verdict", verdict),
        ("数据流 · feeds", document["feeds"]),
        ("条目 · entries", document["entries_checked"]),
        ("明文 · openings", document["openings_checked"]),
        ("检查点 · checkpoints", document["checkpoints_checked"]),
        ("签名 · signatures", document["signatures_checked"]),
        ("投影行 · rows", document["rows_checked"]),
        ("文件 · files", document["files_checked"]),
    ]
    for name, key in (
        ("待补 · missing", "entries_missing"),
        ("待重取 · to fetch anew", "entries_damaged"),
        ("本级缺失 · own openings gone", "openings_lost"),
    ):
        if document[key]:
            pairs.append((name, document[key]))
    print_pairs(pairs)
    if document["problem_count"]:
        print_table(
            (f"问题 · {document['problem_count']} problems",),
            [(problem,) for problem in document["problems"]],
        )
        advice = "停止节点,再运行 huying fsck --repair · stop the node, then: huying fsck --repair"
        if document["entries_damaged"]:
            advice = "启动节点并连通上下级,取回后再核对 · run the node, linked, then check again"
        elif "repair" in document:
            advice = (
                "保留文件,从备份恢复或联系上级 · keep the files; restore a backup, ask the parent"
            )
        print_pairs([("怎么办 · what to do", advice)])
    if document["quarantined"]:
        print_table(
            ("被隔离 · quarantined", ">#", "原因 · reason", "详情 · detail"),
            [
                (each["origin"], each["index"], each["code"], each["detail"])
                for each in document["quarantined"]
            ],
        )


def _print_repair(repaired: dict[str, Any]) -> None:
    from huying.node.cli.output import print_block

    nothing = [{"where": "", "zh": "无需修复", "en": "nothing to mend"}]
    for heading, told in (
        ("已修复 · mended", repaired["done"] or nothing),
        ("还要做 · left to do", repaired["left"]),
    ):
        if told:
            lines = [line for each in told for line in (each["where"], each["zh"], each["en"])]
            print_block(heading, filter(None, lines))
