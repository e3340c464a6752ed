"""The checks of `huying doctor`. Each looks at one thing, changes nothing, and says what to do."""

from __future__ import annotations

import contextlib
import enum
import shutil
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import CLOCK_OFFSET_WARN_SECONDS

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["Finding", "Outcome", "examine"]

DISK_BYTES_FAIL: Final = 100 * 1024 * 1024
DISK_BYTES_WARN: Final = 1024 * 1024 * 1024
CERTIFICATE_DAYS_WARN: Final = 30
REACH_SECONDS: Final = 5.0
_DAY: Final = 86400.0
# No release is older; a machine that says so has lost its clock's battery.
_EARLIEST: Final = 1_735_689_600.0  # 2025-01-01


class Outcome(enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do where it is not well."""

    name: str
    outcome: Outcome
    detail: str
    advice_zh: str = ""
    advice_en: str = ""
    detail_zh: str = ""  # what was found, without the names and numbers that `detail` holds


def examine(config: Config) -> list[Finding]:
    """Every check, in an order in which the first trouble is the likeliest cause."""
    checks: tuple[tuple[str, Callable[[Config], Iterator[Finding]]], ...] = (
        ("clock", _clock),
        ("disk", _disk),
        ("keys", _keys),
        ("certificate", _certificates),
        ("store", _store),
        ("mark", _mark),
        ("parent", _parent),
        ("node", _node),
    )
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings.extend(check(config))
        except HuyingError as error:
            advice = error.advice
            findings.append(
                Finding(
                    name, Outcome.FAIL, f"{error.code.name}: {error.detail}", advice.zh, advice.en
                )
            )
    return findings


def _clock(_config: Config) -> Iterator[Finding]:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now < _EARLIEST:
        yield Finding(
            "clock",
            Outcome.FAIL,
            f"{shown}: in the past",
            "请先校准系统时间",
            "set the clock first",
            "系统时间早于本软件发布",
        )
        return
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or any(
        Path(place).exists() for place in ("/run/chrony/chronyd.pid", "/var/run/ntpd.pid")
    )
    if synchronised:
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


def _disk(config: Config) -> Iterator[Finding]:
    folder = config.data_dir
    if not folder.is_dir():
        detail, zh = f"{folder}: missing", "数据目录不存在"
        yield Finding("disk", Outcome.FAIL, detail, "请先运行 huying init", "run: huying init", zh)
        return
    usage = shutil.disk_usage(folder)
    detail = f"{folder}: {usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.1f}"
    if usage.free >= DISK_BYTES_WARN:
        yield Finding("disk", Outcome.OK, detail, detail_zh="空间充足")
        return
    outcome = Outcome.FAIL if usage.free < DISK_BYTES_FAIL else Outcome.WARN
    yield Finding("disk", outcome, detail, "请清理磁盘空间", "free some space", "空间不足")


def _keys(config: Config) -> Iterator[Finding]:
    from huying.node import keys

    loose = [
        path
        for path in (config.keys_dir, *sorted(config.keys_dir.glob("*")), config.token_file)
        if path.exists() and path.suffix != ".crt" and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if loose:
        names = ", ".join(str(path) for path in loose)
        yield Finding(
            "keys",
            Outcome.FAIL,
            f"others may read {names}",
            "请收紧权限:chmod go= 文件",
            f"run: chmod go= {loose[0]}",
            "其他用户可读密钥",
        )
        return
    identity = keys.load_identity(config.keys_dir, config.node.network, config.node.code)
    keys.load_token(config.token_file)
    detail = f"{identity.origin}: usable, and its owner's alone"
    yield Finding("keys", Outcome.OK, detail, detail_zh="可用,仅属主可读")


def _certificates(config: Config) -> Iterator[Finding]:
    import ssl

    from huying.node import keys, pins, tls
    from huying.node.cli.offline import open_reader, own_members

    own = keys.load_tls(config.keys_dir, config.node.code)
    expiries = [(config.node.code, own.expires)]
    expiries += [
        (pin.code, tls.certificate_expiry(pin.certificate))
        for pin in pins.load_folder(config.pins_dir)
    ]
    with contextlib.suppress(HuyingError), open_reader(config) as reader:
        expiries += [
            (member.code, tls.certificate_expiry(ssl.DER_cert_to_PEM_cert(member.certificate)))
            for member in own_members(reader, config.node.code)
            if member.certificate and not member.HasField("revocation")
        ]
    for code, expires in expiries:
        days = (expires - time.time()) / _DAY
        detail = f"{code}: until {time.strftime('%Y-%m-%d', time.localtime(expires))}"
        if days >= CERTIFICATE_DAYS_WARN:
            yield Finding("certificate", Outcome.OK, detail, detail_zh="有效")
        else:
            yield Finding(
                "certificate",
                Outcome.FAIL if days < 0 else Outcome.WARN,
                f"{detail}, {days:.0f} days left",
                "请更换证书并交给上下级",
                "make a new one, and give it to the neighbours that pin it",
                "已过期" if days < 0 else "即将到期",
            )


def _store(config: Config) -> Iterator[Finding]:
    from huying.node.cli.offline import open_reader

    file = config.database_file
    if not file.exists():
        yield Finding(
            "store", Outcome.OK, f"{file}: not there before the first run", detail_zh="尚未首次运行"
        )
        return
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield Finding(
            "store",
            Outcome.FAIL,
            f"others may read {file}",
            "请收紧权限:chmod go= 文件",
            f"run: chmod go= {file}",
            "其他用户可读数据库",
        )
    with open_reader(config) as reader:
        feeds = reader.feeds()
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    entries = sum(feed.size for feed in feeds)
    size = sum(
        path.stat().st_size for path in (file, file.with_name(file.name + "-wal")) if path.exists()
    )
    detail = (
        f"{file}: {len(feeds)} feeds, {entries} entries, {size / 2**20:.1f} MiB,"
        f" journal {journal}, SQLite {sqlite3.sqlite_version}"
    )
    if journal == "wal":
        yield Finding("store", Outcome.OK, detail, detail_zh="可读")
    else:
        yield Finding(
            "store",
            Outcome.WARN,
            detail,
            "下次启动时会改回 WAL",
            "the node sets it to wal at its start",
            "日志方式不是 WAL",
        )
    quarantined = sum(feed.quarantined for feed in feeds)
    frozen = [feed.origin for feed in feeds if feed.frozen]
    if quarantined:
        yield Finding(
            "store",
            Outcome.WARN,
            f"{quarantined} entries are quarantined",
            "运行 huying fsck 查看原因",
            "huying fsck tells why",
            "有条目被隔离",
        )
    for origin in frozen:
        advice = HuyingError(Code.FORK).advice
        yield Finding("store", Outcome.FAIL, f"{origin}: frozen", advice.zh, advice.en, "已冻结")


def _mark(config: Config) -> Iterator[Finding]:
    from huying.node.cli.offline import open_reader
    from huying.node.highwater import FileMark, host_id

    mark = FileMark(config.mark_file, host_id()).read()
    if not config.database_file.exists():
        size = 0
    else:
        with open_reader(config) as reader:
            sizes = {feed.origin: feed.size for feed in reader.feeds()}
        size = sizes.get(mark[0], 0) if mark is not None else max(sizes.values(), default=0)
    if mark is None and not size:
        yield Finding("mark", Outcome.OK, "none before the first run", detail_zh="尚未首次运行")
    elif mark is None or mark[1] > size:
        advice = HuyingError(Code.RECOVERING).advice
        found = "missing, or another host's" if mark is None else f"{mark[1]}, the store has {size}"
        zh = "标记缺失或属于另一台主机" if mark is None else "数据库落后于标记"
        detail = f"{config.mark_file}: {found}"
        yield Finding("mark", Outcome.FAIL, detail, advice.zh, advice.en, zh)
    else:
        detail = f"{config.mark_file}: {mark[1]}, the store has {size}"
        yield Finding("mark", Outcome.OK, detail, detail_zh="与数据库相符")


def _parent(config: Config) -> Iterator[Finding]:
    if config.parent is None:
        yield Finding("parent", Outcome.OK, "none: this node is the root", detail_zh="无上级")
        return
    from huying.node.config import split_address

    host, port = split_address(config.parent.address)
    place = f"{config.parent.code} at {config.parent.address}"
    try:
        with closing(socket.create_connection((host, port), timeout=REACH_SECONDS)):
            pass
    except OSError as error:
        yield Finding(
            "parent",
            Outcome.WARN,
            f"{place}: {error.strerror or type(error).__name__}",
            "本级可离线工作;请检查网络、地址和上级是否在运行",
            "this node works on without; check the network, the address, and the parent",
            "连不上上级",
        )
        return
    if _handshake(config):
        detail = f"{place}: reached, and the pinned certificate is good"
        yield Finding("parent", Outcome.OK, detail, detail_zh="已连通,证书相符")
    else:
        yield Finding(
            "parent",
            Outcome.FAIL,
            f"{place}: the port answers, the TLS handshake fails",
            "证书或名册不符:核对双方的登记文件",
            "compare pins: this node's pins/ and the parent's children/",
            "端口可达,TLS 握手失败",
        )


def _handshake(config: Config) -> bool:
    """Whether mutual TLS with the parent succeeds; no frame is sent."""
    import grpc

    from huying.node import keys, pins, tls

    assert config.parent is not None, "asked only where there is a parent"
    own = keys.load_tls(config.keys_dir, config.node.code)
    pin = pins.read(config.pins_dir / f"{config.parent.code}.toml")
    credentials = tls.channel_credentials(
        own.key_pem, own.certificate_pem, pin.certificate.encode()
    )
    options = (
        ("grpc.ssl_target_name_override", tls.dns_name(pin.code)),
        ("grpc.enable_http_proxy", 0),
    )
    with grpc.secure_channel(config.parent.address, credentials, options) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=REACH_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def _node(config: Config) -> Iterator[Finding]:
    from huying.node.api.client import Client
    from huying.node.keys import load_token

    try:
        with Client(config.api.listen, load_token(config.token_file)) as client:
            status = client.status()
    except HuyingError as error:
        if error.code is not Code.UNREACHABLE:
            raise
        yield Finding(
            "node", Outcome.OK, "not running; start it with: huying run", detail_zh="未运行"
        )
        return
    good = status.state == "live"
    yield Finding(
        "node",
        Outcome.OK if good else Outcome.WARN,
        f"running, state {status.state}",
        detail_zh="运行中" if good else "运行中,状态异常",
    )
    for peer in status.peers:
        offset = peer.clock_offset_seconds
        if abs(offset) > CLOCK_OFFSET_WARN_SECONDS:
            yield Finding(
                "clock",
                Outcome.WARN,
                f"{peer.code}: its clock is {offset:+.0f} s from this one",
                "请核对两边的时间",
                "find out which of the two is off",
                "与对方的时钟相差过大",
            )
