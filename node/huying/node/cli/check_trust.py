"""Checks of what this node proves itself by: private keys and certificates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from huying.common.errors import Code
from huying.node.cli.finding import Finding, Outcome

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["certificates", "private_keys"]

CERTIFICATE_DAYS_WARN: Final = 30
_DAY: Final = 86400.0


def private_keys(config: Config) -> Iterator[Finding]:
    """The keys are there, whole, this node's and its owner's alone."""
    from huying.node import keys
    from huying.node.integrity.file_check import exposed_files

    for path in exposed_files(config):
        yield Finding(
            "keys",
            Outcome.FAIL,
            f"{path}: others may read it",
            f"请收紧权限:chmod go= {path};若曾被他人读取,请轮换密钥",
            f"run: chmod go= {path}; if anybody read it, rotate the key",
            "其他用户可读",
            Code.KEY,
        )
    identity = keys.load_identity(config.keys_dir, config.node.network, config.node.code)
    keys.load_tls(config.keys_dir, config.node.code)
    keys.load_hpke(config.keys_dir)
    keys.load_token(config.token_file)
    detail = f"{identity.origin}: feed, witness, TLS and disclosure key usable, and the token"
    yield Finding("keys", Outcome.OK, detail, detail_zh="可用")


def certificates(config: Config) -> Iterator[Finding]:
    """The own certificate, and those that are pinned: how long each is good for."""
    from huying.node import keys, pins

    own = keys.load_tls(config.keys_dir, config.node.code)
    expiries = [(config.node.code, own.expires)]
    expiries += [(pin.code, pin.certificate_expires) for pin in pins.load_folder(config.pins_dir)]
    for code, expires in expiries:
        days = (expires - time.time()) / _DAY
        detail = f"{code}: until {time.strftime('%Y-%m-%d', time.localtime(expires))}"
        mine = code == config.node.code
        if days >= CERTIFICATE_DAYS_WARN:
            yield Finding("certificate", Outcome.OK, detail, detail_zh="有效")
            continue
        yield Finding(
            "certificate",
            Outcome.FAIL if days < 0 else Outcome.WARN,
            f"{detail}, {days:.0f} days left",
            "运行 huying key rotate tls" if mine else f"请 {code} 的运维更换证书",
            "run: huying key rotate tls" if mine else f"ask the operator of {code} to renew it",
            "已过期" if days < 0 else "即将到期",
            Code.KEY,
        )
