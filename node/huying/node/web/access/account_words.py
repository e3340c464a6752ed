"""What is wrong with an account's form, in the words of who fills it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from huying.common import limits
from huying.common.errors import HuyingError

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["device", "explain", "seconds_left"]

_LOGIN: Final = (
    f"登录名须有 {limits.LOGIN_CHARACTERS_MIN} 至 {limits.LOGIN_CHARACTERS_MAX} 个字符:"
    "汉字、小写字母、数字,首字符之后还可用 . _ - @"
)
_GUESSED: Final = (
    "密码多由常见词、键盘连号、日期、重复或本人姓名组成,容易先被猜中。请用几个互不相干的词连起来"
)
_LENGTH: Final = (
    f"密码须有 {limits.PASSWORD_CHARACTERS_MIN} 至 {limits.PASSWORD_CHARACTERS_MAX} 个字符,"
    "一句话最好记"
)
# How the detail of a refusal begins -> the same in Chinese. The first that fits counts.
_CHINESE: Final[tuple[tuple[str, str], ...]] = (
    ("login: another", "这个登录名已有人使用"),
    ("login:", _LOGIN),
    ("actor: another", "这个代号已有人使用"),
    ("name:", "请填写姓名,一行,至多 200 字"),
    ("actor:", "代号须为一行,至多 200 字"),
    ("department:", "部门办理人须填写所属部门,一行,至多 200 字"),
    ("roles:", "至少勾选一个本级的角色"),
    ("area: must lie", "限定范围须在本节点辖区内"),
    ("area:", "限定范围须为 12 位区划代码或 15 位网格代码"),
    ("language:", "语言须为中文或英文"),
    ("password: known", "这个密码已在别处泄露过,请换一个"),
    ("password: the one", "新密码与现用密码相同,请换一个"),
    ("password: made of", _GUESSED),
    ("password:", _LENGTH),
    ("the last account administrator", "这是最后一位账号管理员,请先指定另一位"),
    ("the link is void", "链接已失效。请在服务器上运行 huying console link 取得新链接"),
)
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


def explain(ask: Ask, error: HuyingError) -> str:
    """What to mend, in the person's language."""
    if ask.language == "en":
        return error.detail or error.advice.en
    for begin, chinese in _CHINESE:
        if error.detail.startswith(begin):
            return chinese
    return f"{error.advice.zh}({error.detail})" if error.detail else error.advice.zh


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
