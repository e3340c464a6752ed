"""`huying rebuild`: what came back after a machine was lost, and opening the sealed copies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huying.common.copies.sealed import CopyState, SealedCopy
    from huying.common.feed.hpke import SealKey
    from huying.common.state import FeedState
    from huying.node.config import Config
    from huying.node.store.reader import FileReader

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rebuild)


@dataclass(frozen=True, slots=True)
class _Feed:
    """One epoch of the own feed, as far as it is here."""

    origin: str
    entries: int
    openings: int
    openings_missing: int  # and not erased
    openings_erased: int
    entries_hidden: int
    copies_waiting: int  # for the key
    copies_at_parent: int  # and not here yet


@dataclass(slots=True)
class _Opened:
    """What a key brought."""

    copies: int = 0
    copies_not_opened: int = 0
    entries: int = 0
    repeated: int = 0
    refused: int = 0


def rebuild(
    ctx: typer.Context,
    recovery_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="恢复私钥 · The recovery key's private half."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """查看找回了什么;用恢复私钥打开密封副本 · Show what came back; open the sealed copies.

    After `huying join` the node's parent gives it its old feed back while it runs, and the sealed
    copies with it. With --recovery-key what only this node may read is put back from them. The key
    is used by this command alone; the node never sees it.
    """
    from huying.node.cli.output import print_json

    config = context.config(ctx)
    opened = None if recovery_key is None else _open(config, recovery_key)
    feeds = _feeds(config)
    if as_json:
        print_json(
            {
                "code": config.node.code,
                "feeds": [asdict(feed) for feed in feeds],
                "opened": None if opened is None else asdict(opened),
            }
        )
    else:
        _print(feeds, opened)
    if opened is not None and opened.copies_not_opened and not opened.copies:
        raise HuyingError(Code.KEY, f"{recovery_key}: opens none of the copies that wait here")


def _open(config: Config, file: Path) -> _Opened:
    from huying.common.copies.sealed import CopyState
    from huying.node.backups import recovery_key
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_note
    from huying.node.cli.progress import progress
    from huying.node.store.sealed_copies import read_copies

    key = recovery_key.load_private(file, config.node.network, config.node.code)
    with open_reader(config) as reader:
        copies = read_copies(reader, config.node.code)
    waiting = [copy for copy in copies if copy.state is CopyState.FETCHED]
    opened = _Opened()
    with progress("密封副本 · sealed copies") as advance:
        for done, copy in enumerate(waiting):
            advance(done, len(waiting))
            _put_back(config, key, copy.origin, copy.start, opened)
    if opened.copies and recovery_key.switch_on(config, key):
        print_note(
            "已恢复使用这把恢复密钥,重启节点后继续留存密封副本",
            "the node seals to this key again, from its next start",
        )
    return opened


def _put_back(config: Config, key: SealKey, origin: str, start: int, opened: _Opened) -> None:
    from huying.common.copies.sealed import open_sealed
    from huying.node.cli.administer import administer_config
    from huying.node.cli.offline import open_reader
    from huying.node.store.sealed_copies import read_copy
    from huying.wire.v1 import admin_pb2

    with open_reader(config) as reader:
        copy = read_copy(reader, origin, start)
    if copy is None or not copy.sealed:
        return
    try:
        plain = open_sealed(key, copy)
    except HuyingError:
        opened.copies_not_opened += 1
        return
    request = admin_pb2.PutBackRequest(origin=origin, start=start, opened=plain)
    answer = administer_config(config, "PutBack", request)
    opened.copies += 1
    opened.entries += answer.entries
    opened.repeated += answer.repeated
    opened.refused += answer.refused


def _feeds(config: Config) -> list[_Feed]:
    from huying.common.codes import parse_origin
    from huying.common.copies.sealed import CopyState
    from huying.node.cli.offline import open_reader
    from huying.node.store.sealed_copies import read_copies

    with open_reader(config) as reader:
        copies = read_copies(reader, config.node.code)
        held = [one for one in reader.feeds() if parse_origin(one.origin).code == config.node.code]
        erased = {feed.origin: _erased(reader, feed) for feed in held}
    return [
        _Feed(
            origin=feed.origin,
            entries=feed.size,
            openings=feed.openings_held,
            openings_missing=feed.openings_withheld - erased[feed.origin],
            openings_erased=erased[feed.origin],
            entries_hidden=feed.entries_hidden,
            copies_waiting=_count(copies, feed.origin, CopyState.FETCHED),
            copies_at_parent=_count(copies, feed.origin, CopyState.TOLD),
        )
        for feed in held
    ]


def _erased(reader: FileReader, feed: FeedState) -> int:
    """How many openings of a feed were erased."""
    from huying.common.feed.leaf import leaf_slots, unpack_openings
    from huying.common.late.spans import NO_SPANS

    spans = NO_SPANS.plus(
        (span.start, span.stop, span.slots)
        for span in reader.erased()
        if span.origin == feed.origin
    )
    count = 0
    for start, stop in zip(spans.starts, spans.stops, strict=True):
        entries = reader.entries(feed.feed_id, start, min(stop, feed.size))
        for index, entry in enumerate(entries, start):
            held = {opening[0] for opening in unpack_openings(entry.openings)}
            shown = leaf_slots(entry.leaf) if entry.leaf is not None else b""
            count += sum(slot in spans.at(index) and slot not in held for slot in shown)
    return count


def _count(copies: Sequence[SealedCopy], origin: str, state: CopyState) -> int:
    return sum(copy.origin == origin and copy.state is state for copy in copies)


def _print(feeds: list[_Feed], opened: _Opened | None) -> None:
    from huying.node.cli.output import count, print_note, print_pairs, print_table

    if opened is not None:
        print_pairs(
            [
                ("打开的副本 · copies opened", count(opened.copies)),
                ("打不开的 · not opened", count(opened.copies_not_opened)),
                ("找回的条目 · entries filled in", count(opened.entries)),
                ("原本完整 · whole before", count(opened.repeated)),
                ("未采用 · refused", count(opened.refused)),
            ]
        )
    print_table(
        (
            "=数据流 · feed",
            ">条目 · entries",
            ">明文 · openings",
            ">缺失 · missing",
            ">已删除 · erased",
            ">整条缺失 · hidden",
            ">待打开 · waiting",
            ">在上级 · at the parent",
        ),
        [
            (
                "/".join(feed.origin.split("/")[-2:]),
                count(feed.entries),
                count(feed.openings),
                count(feed.openings_missing),
                count(feed.openings_erased),
                count(feed.entries_hidden),
                count(feed.copies_waiting),
                count(feed.copies_at_parent),
            )
            for feed in feeds
        ],
    )
    if any(feed.copies_at_parent for feed in feeds):
        print_note(
            "还有密封副本在上级,请让节点继续运行,稍后再试",
            "sealed copies are still at the parent: let the node run, and come back",
        )
    elif any(feed.copies_waiting for feed in feeds):
        print_note(
            "密封副本已取回,请用 --recovery-key 打开",
            "the sealed copies are here: open them with --recovery-key",
        )
