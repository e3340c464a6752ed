"""Checks of what this node holds: the database, the mark, the list of erasures, the backups."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

from huying.common.errors import Code, HuyingError
from huying.node.cli.finding import Finding, Outcome

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["backup", "erasures", "mark", "sqlite", "store"]

BACKUP_DAYS_WARN: Final = 7
WAL_BYTES_WARN: Final = 256 * 1024 * 1024
# The fault that two connections need to meet: https://sqlite.org/wal.html, "WAL-reset bug".
_WAL_RESET_BUG: Final = (3, 7, 0), (3, 51, 2)
_DAY: Final = 86400.0
_MIB: Final = 2**20


def store(config: Config) -> Iterator[Finding]:
    """The database opens, is of this program's schema, and says of nothing that an operator waits.

    Whether what it says is true, `huying fsck` finds out.
    """
    from huying.node.cli.offline import open_reader

    file = config.database_file
    if not file.exists():
        detail = f"{file}: not there before the first run"
        yield Finding("store", Outcome.OK, detail, detail_zh="尚未首次运行")
        return
    with open_reader(config) as reader:
        feeds = reader.feeds()
        rows = sum(len(reader.missing(feed.feed_id)) for feed in feeds)
    entries = sum(feed.size for feed in feeds)
    detail = f"{file}: {len(feeds)} feeds, {entries} entries, {file.stat().st_size / _MIB:.1f} MiB"
    yield Finding("store", Outcome.OK, detail, detail_zh="可读")
    if rows:
        yield Finding(
            "store",
            Outcome.WARN,
            f"{rows} things are missing and asked for",
            "保持与对方连通;长期不补齐时运行 huying fsck",
            "keep the node linked; where they stay, huying fsck tells which",
            "有内容缺失,正在索取",
        )
    quarantined = sum(feed.quarantined for feed in feeds)
    if quarantined:
        yield Finding(
            "store",
            Outcome.WARN,
            f"{quarantined} entries are quarantined",
            "运行 huying fsck 查看原因",
            "huying fsck tells why",
            "有条目被隔离",
        )
    for feed in feeds:
        if feed.frozen:
            advice = HuyingError(Code.FORK).advice
            detail = f"{feed.origin}: frozen; huying feed evidence shows why"
            yield Finding("store", Outcome.FAIL, detail, advice.zh, advice.en, "已冻结", Code.FORK)
    yield from _put_aside(config)


def _put_aside(config: Config) -> Iterator[Finding]:
    """Databases that a repair or a restore left behind."""
    file, accounts = config.database_file, config.console_dir / "console.db"
    for pattern, why in (
        (f"{file.name}.damaged-*", "a damaged database that a repair put aside"),
        (f"{file.name}.before-*", "the database before a restore: it holds what was erased since"),
        (f"{accounts.name}.before-*", "accounts that a restore put aside"),
    ):
        folder = accounts.parent if pattern.startswith(accounts.name) else file.parent
        for aside in sorted(folder.glob(pattern)):
            if aside.name.endswith(("-wal", "-shm", "-journal")):
                continue
            yield Finding(
                "store",
                Outcome.WARN,
                f"{aside}: {why}",
                "确认无误后安全删除:其中有个人信息",
                "destroy it once all is well: it holds personal data",
                "留有旧库",
            )


def sqlite(config: Config) -> Iterator[Finding]:
    """How the database is written: journal, log size, and the library's own known faults."""
    from huying.node.store.database import translated

    file = config.database_file
    if not file.exists():
        return
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with translated(), closing(sqlite3.connect(uri, uri=True)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    low, high = _WAL_RESET_BUG
    affected = low <= sqlite3.sqlite_version_info <= high
    detail = f"SQLite {sqlite3.sqlite_version}, journal {journal}"
    if affected:
        detail += (
            "; it has the WAL-reset fault (3.7.0 to 3.51.2), which two writing connections need:"
            " here one alone writes and checkpoints, under a lock, and readers are read-only"
        )
    if journal == "wal":
        zh = "WAL 复位缺陷版本,已由单写连接和锁规避" if affected else "正常"
        yield Finding("sqlite", Outcome.OK, detail, detail_zh=zh)
    else:
        yield Finding(
            "sqlite",
            Outcome.WARN,
            detail,
            "下次启动时会改回 WAL",
            "the node sets it to wal at its start",
            "日志方式不是 WAL",
        )
    log = file.with_name(file.name + "-wal")
    if log.exists() and log.stat().st_size > WAL_BYTES_WARN:
        yield Finding(
            "sqlite",
            Outcome.WARN,
            f"{log}: {log.stat().st_size / _MIB:.0f} MiB",
            "有读取长期未结束;重启节点可收回",
            "something has been reading for long; a restart of the node takes it back",
            "预写日志过大",
        )


def mark(config: Config) -> Iterator[Finding]:
    """The high-water mark is this host's, and not ahead of the database."""
    from huying.node.cli.offline import open_reader
    from huying.node.highwater import FileMark, host_id

    found = FileMark(config.mark_file, host_id()).read()
    sizes: dict[str, int] = {}
    if config.database_file.exists():
        with open_reader(config) as reader:
            sizes = {feed.origin: feed.size for feed in reader.feeds()}
    size = sizes.get(found[0], 0) if found is not None else max(sizes.values(), default=0)
    if found is None and not size:
        yield Finding("mark", Outcome.OK, "none before the first run", detail_zh="尚未首次运行")
    elif found is None or found[1] > size:
        advice = HuyingError(Code.RECOVERING).advice
        what = (
            "missing, or another host's" if found is None else f"{found[1]}, the store has {size}"
        )
        zh = "标记缺失或属于另一台主机" if found is None else "数据库落后于标记"
        yield Finding("mark", Outcome.FAIL, f"{config.mark_file}: {what}", advice.zh, advice.en, zh)
    else:
        detail = f"{config.mark_file}: {found[1]}, the store has {size}"
        yield Finding("mark", Outcome.OK, detail, detail_zh="与数据库相符")


def erasures(config: Config) -> Iterator[Finding]:
    """The list of erasures reads; a start without it could bring back what was erased."""
    from huying.node.erasure_list import FileErasureList

    count = len(FileErasureList(config.erasures_file).read())
    yield Finding("erasures", Outcome.OK, f"{count} on the list", detail_zh="可读")


def backup(config: Config) -> Iterator[Finding]:
    """When the last backup was made here."""
    from huying.node.backups.backup_note import last_backup

    made = last_backup(config)
    advice = ("运行 huying backup FILE", "run: huying backup FILE")
    if made is None:
        yield Finding("backup", Outcome.WARN, "none was made here", *advice, "尚无备份")
        return
    days = (time.time() - made) / _DAY
    detail = f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(made))}, {days:.0f} days ago"
    if days > BACKUP_DAYS_WARN:
        yield Finding("backup", Outcome.WARN, detail, *advice, "备份过旧")
    else:
        yield Finding("backup", Outcome.OK, detail, detail_zh="近期有备份")
