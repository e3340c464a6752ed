"""The log: structlog on standard error, for a person on a terminal or as JSON for a collector.

Standard output stays free for what a command was asked to print. Lifecycle lines lead with Chinese
and carry the English beside it, so that either reader finds them. No value that is logged may be a
key, a token or a record's content.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
from collections.abc import Iterator
from typing import Any, Final, Literal

# structlog takes rich for its tracebacks where it finds it: 5 MB in a process that lives for months
# on a small machine, and shows none of them.
_RICH: Final = sys.modules.get("rich")
if _RICH is None:
    sys.modules["rich"] = None  # type: ignore[assignment]  # "not to be imported"
import structlog  # noqa: E402

if _RICH is None:
    del sys.modules["rich"]

__all__ = ["MESSAGES", "configure", "hushed", "is_kept", "logger", "say"]

_HUSHED: Final[contextvars.ContextVar[bool]] = contextvars.ContextVar("hushed", default=False)

Level = Literal["debug", "info", "warning", "error"]

# Event name -> (level, Chinese, English). The event name is what a collector searches for.
MESSAGES: Final[dict[str, tuple[Level, str, str]]] = {
    "node_starting": ("info", "节点启动", "node starting"),
    "node_running": ("info", "节点已运行", "node running"),
    "node_draining": ("info", "节点正在退出,等待最后的确认", "draining: waiting for the last acks"),
    "node_stopped": ("info", "节点已退出", "node stopped"),
    "node_failed": ("error", "节点故障退出,重启后将复核", "node failed; it verifies on restart"),
    "store_opened": ("info", "数据库已打开", "store opened"),
    "sync_listening": ("info", "等待下级节点接入", "listening for children"),
    "uplink_dialling": ("debug", "正在连接上级", "dialling the parent"),
    "uplink_up": ("info", "已连上上级", "connected to the parent"),
    "uplink_lost": ("warning", "与上级的连接中断,将自动重连", "lost the parent; will redial"),
    "uplink_unreached": ("warning", "连不上上级,将自动重试", "parent not reached; will retry"),
    "uplink_failed": ("error", "上级连接程序出错,将自动重连", "a fault of ours; will redial"),
    "uplink_renewed": ("debug", "连接到期,重新建立", "stream reached its age; redialling"),
    "downlink_up": ("info", "下级已接入", "child connected"),
    "downlink_down": ("info", "下级连接已断开", "child disconnected"),
    "downlink_replaced": ("info", "下级重新接入,旧连接关闭", "a newer link replaces the older"),
    "downlink_refused": ("warning", "拒绝接入", "link refused"),
    "child_enrolled": ("info", "下级已登记", "child enrolled"),
    "join_refused": ("warning", "拒绝加入", "join refused"),
    "join_failed": ("error", "加入申请处理出错", "a join request met a fault of ours"),
    "invite_damaged": ("warning", "邀请文件损坏,请删除", "damaged invite file; remove it"),
    "roster_not_read": ("warning", "名册未能刷新", "the roster was not read again"),
    "link_slow": ("warning", "对方读取太慢,连接已切断", "the peer reads too slowly; link cut"),
    "link_closed": ("warning", "连接被本级关闭", "link closed by this node"),
    "certificate_expiring": ("warning", "证书即将到期,请更换", "certificate near its expiry"),
    "certificate_renewed": ("info", "新证书已启用", "the new certificate is in use"),
    "parent_certificate_replaced": (
        "info",
        "上级已换新证书",
        "the parent shows its new certificate",
    ),
    "renewal_waits": ("warning", "更换证书受阻,将重试", "the renewal is held up; will retry"),
    "capture_on": ("warning", "正在抄录所有数据帧,仅供测试", "capturing every frame: tests only"),
    "alarm": ("warning", "告警", "alarm"),
    "part_failed": ("error", "后台任务出错,将自动重试", "a task beside the API failed; will retry"),
    "engine_defect": ("error", "程序缺陷,节点将退出", "a defect; the node will exit"),
    "order_assigned": ("info", "工单已改派", "an order was given to another handler"),
    "contact_shown": ("info", "已显示来电人联系方式", "a caller's contact was shown"),
    "question_answered": ("info", "已就地计数作答", "a question was answered by counting"),
    "question_not_answered": ("warning", "提问无法作答", "a question can't be answered"),
    "questions_wait": ("warning", "提问暂不能作答,稍后再试", "questions wait; will retry"),
    "event_settled_by_town": (
        "info",
        "镇已办结的事件已写入办结",
        "an event that the town settled was ended",
    ),
    "event_not_settled": (
        "warning",
        "镇已办结的一件事件未能写入办结,请人工办理",
        "an event that the town settled could not be ended; end it by hand",
    ),
    "events_wait": (
        "warning",
        "镇的办结暂不能写入,稍后再试",
        "ends of events wait; will retry",
    ),
    "retention_erased": ("info", "到期记录已删除", "records past their retention were erased"),
    "provision_failed": (
        "warning",
        "一件数据提供申请未能自动处理,请人工决定",
        "a request for a field waits for a person",
    ),
    "provisions_failed": (
        "warning",
        "数据提供处理出错,稍后再试",
        "provisions met a fault; they are tried again",
    ),
    "retention_failed": ("warning", "到期删除未完成,次日再试", "retention waits until tomorrow"),
    "timer_refused": ("warning", "一个到期时限未写入", "a clock that ran out was not written"),
    "timers_wait": (
        "warning",
        "到期时限暂不能写入,稍后再试",
        "clocks that ran out wait; will retry",
    ),
    "outage_extended": (
        "warning",
        "本节点曾停机,时限已顺延",
        "was away; open windows were extended",
    ),
    "console_started": ("info", "网页控制台已启动", "the console was started"),
    "console_serving": ("info", "网页控制台可用", "the console serves pages"),
    "console_new": (
        "info",
        "网页还没有账号,请运行 huying console link",
        "nobody has an account yet: run huying console link",
    ),
    "console_failed": (
        "warning",
        "网页控制台退出,将重启",
        "the console ended; it is started again",
    ),
    "console_untidy": (
        "warning",
        "控制台未能清理,一小时后再试",
        "the console could not tidy; in an hour again",
    ),
    "console_refused": (
        "warning",
        "拒绝了不该来的请求",
        "requests were refused before any page",
    ),
    "console_crowded": (
        "warning",
        "同一地址的连接超过份额,已关闭",
        "an address had more connections than its share",
    ),
    "console_audit": ("info", "审计记录", "a row of the audit trail"),
    "console_defect": ("error", "网页出错", "a page met a defect"),
    "history_unread": (
        "warning",
        "过去一天的滞后记录读不出,重新开始",
        "the last day's lag can't be read; it begins anew",
    ),
    "quarantine_retried": ("info", "隔离条目已重新判定", "entries in quarantine were judged again"),
    "quarantine_skipped": ("info", "隔离条目已确认跳过", "an entry in quarantine was acknowledged"),
    "not_introduced": ("warning", "本节点的区划记录未写入", "own division record not written"),
}


def logger(name: str) -> Any:
    """A logger of structlog's, for what no line of `MESSAGES` says."""
    return structlog.get_logger(name)


def configure(level: str = "info", format_: str = "auto") -> None:
    """Set up the process's log. `auto` is console on a terminal and JSON elsewhere."""
    console = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    renderer: Any
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Say nothing below an error meanwhile: an operator's command opens a node, and runs none."""
    token = _HUSHED.set(True)
    try:
        yield
    finally:
        _HUSHED.reset(token)


def is_kept() -> bool:
    """Whether what is said reaches a log: not from within an operator's own command."""
    return not _HUSHED.get()


def say(event: str, **values: object) -> None:
    """Write the lifecycle line `event` of `MESSAGES` with `values` beside it."""
    if not structlog.is_configured():
        configure()
    level, zh, en = MESSAGES[event]
    if level != "error" and _HUSHED.get():
        return
    logger = structlog.get_logger()
    getattr(logger, level)(event, zh=zh, en=en, **values)
