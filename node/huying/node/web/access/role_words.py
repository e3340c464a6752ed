"""What each role may do, in one line for whoever enters people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from huying.node.web.access.roles import Role

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["role_hint"]

_HINTS: Final[Mapping[Role, tuple[str, str]]] = {
    Role.CENTRE: (
        "准入、派单、裁定、督办;看事件和工单;申请查看保留的内容",
        "admits, dispatches, rules, supervises; sees events and orders; asks for what is withheld",
    ),
    Role.DEPARTMENT: (
        "办理派给本部门的呼叫;须填所属部门",
        "handles the calls of the department that is named below",
    ),
    Role.DIRECTOR: ("看呼叫、事件、大屏和指标,不办理", "looks at calls, events, wall and measures"),
    Role.CLERK: (
        "起草、补充、确认、评价呼叫;接办、办结、交办村里的事件;办理工单",
        "drafts, supplements, confirms, rates calls; takes on, settles, assigns villages' events",
    ),
    Role.PRINCIPAL: ("经办的全部权限,并批准起草的呼叫", "as a clerk, and approves drafts"),
    Role.WORKER: (
        "上报、处置事件,走访,台账;可限定到一个网格",
        "reports and settles events, visits, keeps the ledger; may be limited to one grid",
    ),
    Role.VILLAGE_CLERK: (
        "网格员的全部权限,并决定是否提供保留的内容",
        "as a worker, and decides what is disclosed",
    ),
    Role.TECHNICIAN: ("看数据流和节点,处理隔离的条目", "feeds, peers, and entries in quarantine"),
    Role.ADMIN: ("管理账号,查看审计记录", "accounts and the audit trail"),
}


def role_hint(ask: Ask, role: Role) -> str:
    """One line about a role, in the person's language."""
    return ask.t(*_HINTS[role])
