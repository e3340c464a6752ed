"""People of a console under test, with hashes that cost next to nothing.

accounts = cheap_accounts(store)
zhang = enter(accounts, "zhang")
"""

from __future__ import annotations

from typing import Any, Final

from huying.node.web.access.accounts import Accounts
from huying.node.web.access.passwords import Cost, Hashing
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role
from huying.node.web.store import ConsoleStore

NOW: Final = 1_800_000_000.0
PASSWORD: Final = "correct horse battery"
CHEAP: Final = Hashing(Cost(memory_kib=8, passes=1))


def cheap_accounts(store: ConsoleStore, *words: str) -> Accounts:
    return Accounts(store, CHEAP, words)


def enter(accounts: Accounts, login: str, *roles: Role, **fields: Any) -> Person:
    """An account whose password is PASSWORD, chosen by its person."""
    given: dict[str, Any] = {
        "name": f"人{login}",
        "password": PASSWORD,
        "one_time": False,
        "now": NOW,
    }
    return accounts.add(login=login, roles=roles or (Role.CLERK,), **(given | fields))
