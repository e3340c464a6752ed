"""The demo's network for people: seven real nodes, their pages, one account for each role.

No stream is replayed. The county has its duty list, departments with keys, and a policy that asks
for the principal's approval and the centre's review; the villages have a small register.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from huying.hub.demo.accounts import DemoAccounts, make_accounts
from huying.hub.demo.api import NodeApi
from huying.hub.demo.county import prepare_county
from huying.hub.demo.people import village_drafts
from huying.hub.demo.plan import COUNTY, NETWORK, TIMING, places, villages
from huying.hub.fleet import Fleet

__all__ = ["DeskNetwork", "open_network"]

HOUSEHOLDS = 24


@dataclass(frozen=True, slots=True)
class DeskNetwork:
    """A network that runs."""

    fleet: Fleet
    accounts: DemoAccounts

    def origin(self, login: str) -> str:
        """Where the person of that login works."""
        return next(one.origin for one in self.accounts.accounts if one.login == login)

    @property
    def password(self) -> str:
        return self.accounts.password


@contextmanager
def open_network(folder: Path, *, approval_required: bool = True) -> Iterator[DeskNetwork]:
    """Seven nodes in `folder`, while the block lasts."""
    with Fleet(folder, NETWORK) as fleet:
        fleet.grow(places(), timing=dict(TIMING))
        asyncio.run(_prepare(fleet, approval_required=approval_required))
        yield DeskNetwork(fleet, make_accounts(fleet))


async def _prepare(fleet: Fleet, *, approval_required: bool) -> None:
    county = NodeApi(fleet[COUNTY], patient=True)
    await prepare_county(county, approval_required=approval_required)
    await county.close()
    for code in villages():
        village = NodeApi(fleet[code], patient=True)
        drafts = village_drafts(
            code,
            households=HOUSEHOLDS,
            seed=1,
            today=datetime.now(UTC).date(),
            grid_households=HOUSEHOLDS // 2,
        )
        await village.append(list(drafts))
        await village.close()
