"""Checks of the links: the parent, step by step; the running node, and what waits at it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import CLOCK_OFFSET_WARN_SECONDS
from huying.node.cli.finding import Finding, Outcome

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["node", "parent", "roster"]

REACH_SECONDS: Final = 5.0
_WAITING: Final = {
    "waiting": ("上级未说明的新密钥,等待本级确认", "huying roster confirm"),
    "claimed": ("下级自称换了新纪元,等待本级接受", "huying roster accept"),
}


def parent(config: Config) -> Iterator[Finding]:
    """Name, port, TLS with the pinned certificate, and whether the parent takes this node's own."""
    if config.parent is None:
        yield Finding("parent", Outcome.OK, "none: this node is the root", detail_zh="无上级")
        return
    if config.parent.address is None:
        detail = f"{config.parent.code}: reached by bundles alone"
        yield Finding("parent", Outcome.OK, detail, detail_zh="只经数据包往来")
        return
    from huying.node import pins

    pin = pins.read(config.pins_dir / f"{config.parent.code}.toml")
    announced = config.pins_dir / f"{config.parent.code}.next.crt"
    trusted = [pin.certificate]
    if announced.is_file():
        trusted.append(announced.read_text("ascii", "replace"))
    yield _reach(config, config.parent.address, pin.code, trusted)


def _reach(config: Config, address: str, code: str, trusted: Sequence[str]) -> Finding:
    from huying.node.config import split_address

    place = f"{code} at {address}"
    host, port = split_address(address)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return _unreached(f"{place}: the name {host} is not known", "域名解析失败")
    try:
        with closing(socket.create_connection((host, port), timeout=REACH_SECONDS)) as plain:
            found = _shown_certificate(plain)
    except ssl.SSLError as error:
        detail = f"{place}: the port answers, and not in TLS ({error.reason})"
        return _refused(detail, "端口应答,但不是 TLS", "核对端口号", "check the port number")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return _unreached(f"{place}: {reason}", "连不上上级")
    shown = [pem for pem in trusted if _is_of(found, pem)]
    if not shown:
        return _refused(
            f"{place}: shows another certificate than the one that is pinned",
            "对方出示的证书与登记的不符",
            "上级换证时本级未连通、备份早于换证,或有人冒充:"
            "向上级运维核实,再凭其新令牌运行 huying rehome",
            "the parent renewed it while this node was away, or after the backup that this node was"
            " restored from, or somebody poses as the parent: ask its operator which; then, with"
            " a new token: huying rehome TOKEN",
        )
    if not _handshake(config, address, code, shown[0]):
        return _refused(
            f"{place}: shows the pinned certificate, and does not take this node's",
            "上级不接受本级证书",
            "本级可能已被吊销,或上级名册中是旧证书:请上级运行 huying roster list",
            "this node may be revoked, or the parent has an older certificate of it:"
            " huying roster list there tells",
        )
    which = "pinned" if shown[0] == trusted[0] else "announced"
    detail = f"{place}: reached, and the {which} certificate is good"
    return Finding("parent", Outcome.OK, detail, detail_zh="已连通,证书相符")


def _unreached(detail: str, zh: str) -> Finding:
    return Finding(
        "parent",
        Outcome.WARN,
        detail,
        "本级可离线工作;请检查网络、地址和上级是否在运行",
        "this node works on without; check the network, the address, and the parent",
        zh,
    )


def _refused(detail: str, detail_zh: str, zh: str, en: str) -> Finding:
    return Finding("parent", Outcome.FAIL, detail, zh, en, detail_zh, Code.NOT_ENROLLED)


def _shown_certificate(plain: socket.socket) -> bytes:
    """The certificate (DER) that the other end shows; nothing is verified here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(plain) as wrapped:
        return wrapped.getpeercert(binary_form=True) or b""


def _is_of(found: bytes, pem: str) -> bool:
    try:
        return ssl.PEM_cert_to_DER_cert(pem) == found
    except ValueError:
        return False


def _handshake(config: Config, address: str, code: str, certificate: str) -> bool:
    """Whether mutual TLS with the parent succeeds; no frame is sent."""
    import grpc

    from huying.node import keys, tls

    own = keys.load_tls(config.keys_dir, config.node.code)
    credentials = tls.channel_credentials(own.key_pem, own.certificate_pem, certificate.encode())
    options = (
        ("grpc.ssl_target_name_override", tls.dns_name(code)),
        ("grpc.enable_http_proxy", 0),
    )
    with grpc.secure_channel(address, credentials, options) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=REACH_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def node(config: Config) -> Iterator[Finding]:
    """Whether the node runs, in which state, and how its peers' clocks stand."""
    from huying.node.api.client import Client
    from huying.node.keys import load_token
    from huying.node.version import own_version

    try:
        with Client(config.api.listen, load_token(config.token_file)) as client:
            status = client.status()
    except HuyingError as error:
        if error.code is not Code.UNREACHABLE:
            raise
        detail = "not running; start it with: huying run"
        yield Finding("node", Outcome.OK, detail, detail_zh="未运行")
        return
    good = status.state == "live"
    yield Finding(
        "node",
        Outcome.OK if good else Outcome.WARN,
        f"running, state {status.state}",
        "" if good else f"见 docs/OPERATIONS.md 中 {status.state} 一项",
        "" if good else f"docs/OPERATIONS.md says what {status.state} means",
        detail_zh="运行中" if good else "运行中,状态异常",
    )
    if any(feed.origin == status.origin and feed.state == "revoked" for feed in status.feeds):
        yield Finding(
            "node",
            Outcome.FAIL,
            f"{status.origin}: the parent says that its key is revoked",
            "先向上级核实,再按 docs/runbook/revoke.md 取回",
            "ask the parent's operator, then see docs/runbook/revoke.md",
            "上级称本级密钥已吊销",
            Code.REVOKED,
        )
    if status.version != own_version():
        yield Finding(
            "node",
            Outcome.WARN,
            f"runs version {status.version}, installed is {own_version()}",
            "重启节点以使用新版本",
            "restart it to run what is installed",
            "运行的不是已安装的版本",
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


def roster(config: Config) -> Iterator[Finding]:
    """Keys that wait for an operator's word; just the running node knows."""
    from huying.node.api.client import Client
    from huying.node.keys import load_token
    from huying.wire.v1 import admin_pb2

    try:
        with Client(config.api.listen, load_token(config.token_file)) as client:
            shown = client.administer("ShowRoster", admin_pb2.ShowRosterRequest(), REACH_SECONDS)
    except HuyingError as error:
        if error.code in (Code.UNREACHABLE, Code.UNKNOWN):
            return
        raise
    waiting = [member for member in shown.members if member.state in _WAITING]
    for member in waiting:
        zh, command = _WAITING[member.state]
        yield Finding(
            "roster",
            Outcome.WARN,
            f"{member.code}: {member.state}: {member.detail}",
            f"核实后运行 {command} {member.code}",
            f"make sure that it is so, then: {command} {member.code}",
            zh,
        )
    if not waiting:
        detail = f"{len(shown.members)} nodes known, {shown.refused_attempts} joins refused"
        yield Finding("roster", Outcome.OK, detail, detail_zh="没有待办")
