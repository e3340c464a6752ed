"""Checks of the machine: versions, clock, disk, ports."""

from __future__ import annotations

import errno
import platform
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from huying.common.errors import Code, HuyingError
from huying.node.cli.finding import Finding, Outcome

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["clock", "disk", "ports", "versions"]

DISK_BYTES_FAIL: Final = 100 * 1024 * 1024
DISK_BYTES_WARN: Final = 1024 * 1024 * 1024
# No release is older; a machine that says so has lost its clock's battery.
_EARLIEST: Final = 1_735_689_600.0  # 2025-01-01
_LATEST: Final = 4_102_444_800.0  # 2100-01-01; certificates would all have expired
_TIME_SERVICES: Final = (
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.pid",
    "/var/run/ntpd.pid",
)


def versions(config: Config) -> Iterator[Finding]:
    """What runs here: the thing a telephone call begins with."""
    import google.protobuf
    import grpc

    from huying.common.sync.session import PROTOCOL_MAX, PROTOCOL_MIN
    from huying.node.store.schema import SCHEMA_REVISION
    from huying.node.version import own_version

    parts = (
        f"huying {own_version()}",
        f"protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}",
        f"schema {SCHEMA_REVISION}",
        f"Python {platform.python_version()}",
        f"grpcio {grpc.__version__}",
        f"protobuf {google.protobuf.__version__}",
        f"SQLite {sqlite3.sqlite_version}",
    )
    detail = f"{config.node.code} {config.node.name}: " + ", ".join(parts)
    yield Finding("versions", Outcome.OK, detail, detail_zh="版本")


def clock(_config: Config) -> Iterator[Finding]:
    """A clock that nobody could have set, and whether anything keeps it right."""
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if not _EARLIEST <= now < _LATEST:
        early = now < _EARLIEST
        yield Finding(
            "clock",
            Outcome.FAIL,
            f"{shown}: {'in the past' if early else 'far in the future'}",
            "请先校准系统时间",
            "set the clock first",
            "系统时间早于本软件发布" if early else "系统时间远在将来",
        )
    elif any(Path(place).exists() for place in _TIME_SERVICES):
        yield Finding("clock", Outcome.OK, f"{shown}, synchronised", detail_zh="已同步")
    else:
        yield Finding(
            "clock",
            Outcome.WARN,
            f"{shown}; no time service was found",
            "时间只供显示,次序不受影响;建议启用时间同步",
            "order does not depend on it; enable chrony or systemd-timesyncd",
            "没有发现时间同步服务",
        )


def disk(config: Config) -> Iterator[Finding]:
    """Room in the data folder, and for the mark, which every commit writes anew."""
    folders = {config.data_dir, config.mark_file.parent}
    seen: set[int] = set()
    for folder in sorted(folders):
        place = next(path for path in (folder, *folder.parents) if path.exists())
        device = place.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        yield _room(folder, shutil.disk_usage(place).free)


def _room(folder: Path, free: int) -> Finding:
    detail = f"{folder}: {free / 2**30:.1f} GiB free"
    if free >= DISK_BYTES_WARN:
        return Finding("disk", Outcome.OK, detail, detail_zh="空间充足")
    full = free < DISK_BYTES_FAIL
    return Finding(
        "disk",
        Outcome.FAIL if full else Outcome.WARN,
        detail,
        "磁盘将满:请清理或换盘;写满时节点会停止写入",
        "free some space: the node stops writing when the disk is full",
        "空间不足" if full else "空间不多",
        Code.DISK_FULL,
    )


def ports(config: Config) -> Iterator[Finding]:
    """While the node is down: whether its ports are free for it."""
    from huying.node.config import split_address

    if _runs(config):
        return
    wanted = (
        ("[sync] listen", config.sync.listen),
        ("[api] listen", config.api.listen),
        ("[metrics] listen", config.metrics.listen),
    )
    taken = []
    for setting, address in wanted:
        if address is None:
            continue
        problem = _bind(*split_address(address))
        if problem:
            taken.append(f"{setting} {address}: {problem}")
    if taken:
        yield Finding(
            "ports",
            Outcome.FAIL,
            "; ".join(taken),
            "换一个端口,或停止占用它的程序(ss -ltnp 可查)",
            "choose another port, or stop what uses it: ss -ltnp names it",
            "端口不可用",
            Code.CONFIG,
        )
    else:
        yield Finding("ports", Outcome.OK, "free for the node", detail_zh="端口空闲")


def _bind(host: str, port: int) -> str:
    """Why an address can't be listened on; empty where it can."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "another program uses it"
        return error.strerror or type(error).__name__
    return ""


def _runs(config: Config) -> bool:
    from huying.node.api.client import Client
    from huying.node.keys import load_token

    try:
        with Client(config.api.listen, load_token(config.token_file)) as client:
            client.status()
    except HuyingError as error:
        return error.code not in (Code.UNREACHABLE, Code.KEY)
    return True
