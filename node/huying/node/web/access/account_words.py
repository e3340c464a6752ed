"""Words of signing in: how long to wait, and which device it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["device", "seconds_left"]

_BROWSERS: Final = (
    *(("MicroMessenger", "微信", "WeChat"), ("Edg/", "Edge", "Edge"), ("OPR/", "Opera", "Opera")),
    *(("Firefox/", "Firefox", "Firefox"), ("Chrome/", "Chrome", "Chrome")),
    ("Safari/", "Safari", "Safari"),
)
_SYSTEMS: Final = (
    *(("Android", "安卓", "Android"), ("iPhone", "iPhone", "iPhone"), ("iPad", "iPad", "iPad")),
    *(("HarmonyOS", "鸿蒙", "HarmonyOS"), ("Windows", "Windows", "Windows")),
    *(("Mac OS X", "Mac", "Mac"), ("Linux", "Linux", "Linux")),
)


def seconds_left(ask: Ask, wait: float) -> str:
    """That somebody has to wait before the next try, and for how long."""
    seconds = max(1, round(wait))
    return ask.t(
        f"尝试太频繁,请 {seconds} 秒后再试。账号没有被锁定。",
        f"Too many tries: wait {seconds} s and try again. The account is not locked.",
    )


def device(ask: Ask, agent: str) -> str:
    """Browser and system, as far as the browser says so; its version is nobody's business."""
    found = [
        ask.t(zh, en) for table in (_BROWSERS, _SYSTEMS) for mark, zh, en in table if mark in agent
    ]
    browser = next((n for n in found if n in _names(ask, _BROWSERS)), "")
    system = next((n for n in found if n in _names(ask, _SYSTEMS)), "")
    return " · ".join(filter(None, (browser, system))) or ask.t("未知设备", "unknown device")


def _names(ask: Ask, table: tuple[tuple[str, str, str], ...]) -> set[str]:
    return {ask.t(zh, en) for _, zh, en in table}
