"""States of a feed, and the reasons for them, in Chinese: for the command line and for pages."""

from __future__ import annotations

from typing import Final

__all__ = ["REASONS", "STATES"]

STATES: Final = {
    "live": "正常",
    "catching_up": "追赶",
    "unconfirmed": "未确认",
    "unwitnessed": "无见证",
    "unknown": "未知",
    "replayed": "重放旧头",
    "withheld": "隐瞒",
    "tail_cut": "截尾",
    "recovering": "恢复中",
    "forked": "分叉",
    "closed": "已结束",
    "revoked": "已吊销",
    "down": "未运行",
    "draining": "正在退出",
}
# What the core says of a feed's state, for the line below it. What is not here stays as it is.
REASONS: Final = {
    "this node's key signed two histories; it writes nothing": "本级密钥签出两份历史,停止写入",
    "the store is behind its high-water mark": "数据库落后于高水位标记",
    "the parent has not confirmed this feed since the start": "启动以来上级尚未确认",
    "the parent says that this node's key is revoked": "上级称本级密钥已吊销",
    "no witness has cosigned this feed": "尚无见证签名",
    "the node goes on in a later epoch": "已换新的一期",
    "the origin signed two histories": "来源签出两份历史",
    "old heads are shown in place of the newest": "以旧头冒充最新",
    "asked for, and not given": "索取未得",
    "no contact on the line to the origin": "通往来源的线路不通",
    "no fresh pulse of the origin": "来源近期没有脉搏",
}
