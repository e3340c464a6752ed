"""What was done, in words: the actions that pages and commands write to the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from huying.node.cli.call_text import STEPS

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["ACTIONS", "action_word", "outcome_word"]

# Whoever writes another action gives it its words here, as a test demands.
ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "sign-in": ("登录", "sign-in"),
    "sign-out": ("退出", "sign-out"),
    "sign-out-everywhere": ("在所有设备上退出", "signed out everywhere"),
    "second-factor": ("第二因素", "second factor"),
    "session-end": ("结束一处登录", "ended one session"),
    "password-ask": ("再次验证密码", "password asked again"),
    "password-change": ("更改密码", "changed the password"),
    "factor-set": ("启用第二因素", "set a second factor"),
    "key-add": ("登记安全密钥", "added a security key"),
    "key-remove": ("移除安全密钥", "removed a security key"),
    "factor-codes": ("重新生成恢复码", "made new recovery codes"),
    "factor-drop": ("去掉第二因素", "took the second factor away"),
    "oidc-sign-in": ("经统一认证登录", "sign-in by the provider"),
    "oidc-bind": ("绑定统一认证", "bound to the provider"),
    "oidc-unbind": ("解除统一认证", "unbound from the provider"),
    "too-many": ("短时间内打开的页面太多", "too many pages in a minute"),
    "out-of-scope": ("要看范围以外的内容", "asked for what lies beyond"),
    "account-add": ("新增账号", "added an account"),
    "account-change": ("修改账号", "changed an account"),
    "account-reset": ("重置密码", "reset a password"),
    "account-disable": ("停用账号", "disabled an account"),
    "account-enable": ("恢复账号", "enabled an account"),
    "account-sign-out": ("结束他人的登录", "ended somebody's sessions"),
    "audit-verify": ("复核审计记录", "verified the trail"),
    "audit-prune": ("清理过期审计记录", "removed old rows of the trail"),
    "console-restore": ("从备份恢复账号库", "put console.db back from a backup"),
    "forbidden": ("越权访问", "page without permission"),
    "call-view": ("查看呼叫", "looked at a call"),
    "call-files": ("呼叫附件", "files of a call"),
    # `call-STEP`, each step that was taken or refused, by the step's own name.
    **{
        f"call-{step}": (f"呼叫:{zh}", f"call: {step.replace('_', ' ')}")
        for step, zh in STEPS.items()
    },
    "household-view": ("查看户", "looked at a household"),
    "household-add": ("登记户", "entered a household"),
    "household-change": ("修改户", "changed a household"),
    "resident-add": ("登记居民", "entered a resident"),
    "resident-change": ("修改居民", "changed a resident"),
    "household-end": ("注销户", "ended a household"),
    "resident-view": ("查看居民", "looked at a resident"),
    "resident-end": ("注销居民", "ended a resident"),
    "resident-move": ("居民迁户", "moved a resident to another household"),
    "show-numbers": ("显示号码", "showed ID and phone numbers"),
    "show-health": ("显示健康状况", "showed somebody's health"),
    "ledger-upload": ("上传台账表格", "uploaded a sheet of the ledger"),
    "ledger-import": ("导入台账表格", "imported a sheet of the ledger"),
    "ledger-faulty": ("下载台账表格里有误的行", "took a sheet's refused rows back"),
    "ledger-export": ("导出台账", "exported the ledger"),
    "event-view": ("查看事件", "looked at an event"),
    "events-export": ("导出事件", "exported events"),
    "orders-faulty": ("下载热线工单表里有误的行", "took an order table's refused rows back"),
    "orders-export": ("导出热线工单", "exported hotline orders"),
    "event-settled": ("办结事件", "settled an event"),
    "event-reopened": ("重新打开事件", "opened an event again"),
    "event-take": ("接办村里的事件", "took on a village's event"),
    "event-close": ("镇里办结村里的事件", "settled a village's event"),
    "event-assign": ("把事件交办村里", "handed an event back to its village"),
    "provision-look": ("查看所提供内容", "looked at what was given"),
    "provision-open": ("打开所提供内容", "opened what was given"),
    "provision-view": ("查看申请", "looked at a request"),
    "provision-approve": ("同意提供", "approved a request"),
    "provision-deny": ("不同意提供", "denied a request"),
    "provision-withdraw": ("收回提供", "withdrew what was given"),
    "provision-ask": ("申请查看保留内容", "asked for what is withheld"),
    "measures-export": ("导出指标", "exported measures"),
    "call-drafted": ("起草呼叫", "drafted a call"),
    "call-raised": ("发起呼叫", "raised a call"),
    "draft-approved": ("审签同意", "approved a draft"),
    "draft-refused": ("审签退回", "refused a draft"),
    "draft-contact-shown": ("查看草稿中的联系方式", "looked at a draft's contact"),
    "report-event": ("上报事件", "reported an event"),
    "admit": ("受理", "admitted a call"),  # of an older program; call-admit since then
    "urge": ("批量催办", "urged calls"),
    "media-picture": ("查看照片", "looked at a picture"),
    "media-original": ("查看照片原件", "looked at an original"),
    "order-contact": ("查看来电人联系方式", "looked at a caller's contact"),
    "order-assign": ("分派热线工单", "assigned an order"),
    "order-take": ("接收热线工单", "took an order"),
    "order-settle": ("办结热线工单", "settled an order"),
    "order-return": ("退回热线工单", "returned an order"),
    "orders-import-check": ("试导工单", "checked a table of orders"),
    "orders-import": ("导入工单", "imported orders"),
    "orders-import-dropped": ("放弃导入工单", "dropped an import of orders"),
    "fork-evidence": ("取分叉证据", "took the evidence of a fork"),
    "quarantine-bytes-shown": ("查看隔离条目原文", "looked at an entry in quarantine"),
    "quarantine-retry": ("重试隔离的条目", "judged an entry in quarantine again"),
    "quarantine-skip": ("跳过隔离的条目", "skipped an entry in quarantine"),
    "upload": ("收下图片", "took a picture in"),
}
_OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "done": ("完成", "done"),
    "refused": ("被拒", "refused"),
    "failed": ("未通过", "failed"),
}


def action_word(ask: Ask, action: str) -> str:
    """What was done, in the person's language."""
    found = ACTIONS.get(action)
    return ask.t(*found) if found else action


def outcome_word(ask: Ask, outcome: str) -> str:
    """How it ended."""
    found = _OUTCOMES.get(outcome)
    return ask.t(*found) if found else outcome
