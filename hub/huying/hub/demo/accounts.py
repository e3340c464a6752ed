"""People who may sign in to the demo's pages: one for each role, at the node where it works.

Their password is drawn for each run and told at the end; it opens generated data alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huying.hub.demo.plan import COUNTY, TOWNS
from huying.hub.fleet import Fleet
from huying.node.config import load
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.passwords import draw_password
from huying.node.web.access.roles import Role, role_names
from huying.node.web.app import origin_of
from huying.node.web.store import ConsoleStore

__all__ = ["DEPARTMENT", "DemoAccount", "DemoAccounts", "make_accounts"]

DEPARTMENT: Final = "住房和城乡建设局"
_TOWN: Final = next(iter(TOWNS))
_VILLAGE: Final = TOWNS[_TOWN][0]
# Node, login, name, pseudonym in the feed, role.
_PEOPLE: Final[Sequence[tuple[str, str, str, str, Role]]] = (
    (COUNTY, "centre", "呼应中心 张敏", "县-呼应-03", Role.CENTRE),
    (COUNTY, "department", "住建局 李强", "县-部门-11", Role.DEPARTMENT),
    (COUNTY, "director", "中心主任 王芳", "县-主任-01", Role.DIRECTOR),
    (COUNTY, "technician", "运维 赵亮", "县-运维-01", Role.TECHNICIAN),
    (COUNTY, "admin", "账号管理 陈静", "县-账号-01", Role.ADMIN),
    (_TOWN, "clerk", "镇经办 刘洋", "镇-经办-01", Role.CLERK),
    (_TOWN, "principal", "镇长 孙磊", "镇-主要-01", Role.PRINCIPAL),
    (_VILLAGE, "worker", "网格员 周涛", "村-网格-01", Role.WORKER),
    (_VILLAGE, "village", "村文书 吴霞", "村-文书-01", Role.VILLAGE_CLERK),
)


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One of them."""

    code: str  # of the node
    place: str
    origin: str  # where its pages are
    login: str
    role: str  # Chinese and English


@dataclass(frozen=True, slots=True)
class DemoAccounts:
    """All of them, with the password that opens each."""

    accounts: tuple[DemoAccount, ...]
    password: str


def make_accounts(fleet: Fleet) -> DemoAccounts:
    """Enter the accounts at their nodes. Raises HuyingError as the console's store does."""
    password = draw_password()
    made = []
    for code, login, name, actor, role in _PEOPLE:
        config = load(fleet[code].config_file)
        store = ConsoleStore.open(config.console_dir)
        try:
            Accounts(store).add(
                login=login,
                name=name,
                actor=actor,
                roles=(role,),
                department=DEPARTMENT if role is Role.DEPARTMENT else "",
                password=password,
                one_time=False,
                now=time.time(),
            )
        finally:
            store.close()
        place = fleet[code].place.name
        made.append(DemoAccount(code, place, origin_of(config), login, " ".join(role_names(role))))
    return DemoAccounts(tuple(made), password)
