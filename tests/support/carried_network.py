"""A county, a town and a village that share no link: what moves, moves in files."""

from __future__ import annotations

import dataclasses

from huying.common.bundles.bundle_import import ImportBundle, Imported
from huying.common.bundles.bundle_ledger import BundleLedger
from huying.common.bundles.bundle_receipt import Taken, TakeReceipt, TakeShortCode
from huying.common.bundles.carriage import ExportBundle, Exported
from huying.common.effects import Alarm, Append, Appended, DraftEntry, Operate, Operated, Operation
from huying.common.engine import Engine
from huying.common.errors import Code
from huying.common.feed.hpke import SealKey
from huying.common.membership.roster import Pin
from huying.common.ports import ErasureList, Store
from huying.hub.sequencer import CallSequencer
from huying.node.store.bundle_ledger import SqlBundleLedger
from huying.node.store.store import SqlStore
from tests.support.tiny_network import (
    COUNTY,
    TOWN,
    VILLAGE,
    MemoryMark,
    SeededEntropy,
    StoppedClock,
    identity,
    pin,
)

FAMILY = {COUNTY: (None, [TOWN]), TOWN: (COUNTY, [VILLAGE]), VILLAGE: (TOWN, [])}


def seal_key(code: str) -> SealKey:
    return SealKey((int(code) + 7).to_bytes(32, "big"))


def sealed_pin(code: str) -> Pin:
    """A node's public keys, with the one to seal to."""
    return dataclasses.replace(pin(code), hpke_key=seal_key(code).public_key)


def ledger_of(store: Store) -> BundleLedger:
    assert isinstance(store, SqlStore)
    return SqlBundleLedger(store)


class Far:
    """One node without a link."""

    def __init__(
        self,
        code: str,
        clock: StoppedClock,
        image: bytes | None = None,
        erasure_list: ErasureList | None = None,
        mark: MemoryMark | None = None,
    ) -> None:
        parent, children = FAMILY[code]
        above = [upper for upper in (TOWN, COUNTY) if int(upper[6:]) < int(code[6:])]
        self.code = code
        self.clock = clock
        self.store = SqlStore.open(template=image)
        self.alarms: list[Alarm] = []
        self._secrets = 0
        self.engine = Engine(
            identity=identity(code),
            parent=parent,
            pins=[sealed_pin(other) for other in (*above, *children)],
            store=self.store,
            clock=clock,
            entropy=SeededEntropy(int(code)),
            mark=mark or MemoryMark(identity(code).origin),
            sequencer=CallSequencer(code, self.store, clock) if code == COUNTY else None,
            erasure_list=erasure_list,
        )
        self.engine.confirmed = True
        self._keep(self.engine.start())

    def _keep(self, effects: list) -> None:
        self.alarms += [one for one in effects if isinstance(one, Alarm)]

    def write(self, *drafts: DraftEntry) -> Appended:
        self.clock.seconds += 1
        effects = self.engine.step([Append("test", drafts)])
        (answer,) = (one for one in effects if isinstance(one, Appended))
        assert answer.error is None, answer.error
        return answer

    def operate(self, operation: Operation) -> object:
        """What it returned; raises what it was refused with."""
        effects = self.engine.step([Operate("test", operation)])
        self._keep(effects)
        (answer,) = (one for one in effects if isinstance(one, Operated))
        if answer.error is not None:
            raise answer.error
        return answer.result

    def export(self, to: str, **options) -> Exported:
        self._secrets += 1
        secret = self._secrets.to_bytes(8, "big") + self.code[-8:].encode()
        result = self.operate(ExportBundle(to, secret, ledger_of, **options))
        assert isinstance(result, Exported)
        return result

    def take_bundle(self, data: bytes) -> Imported:
        result = self.operate(ImportBundle(data, [seal_key(self.code)], ledger_of))
        assert isinstance(result, Imported)
        return result

    def take_receipt(self, data: bytes) -> Taken:
        result = self.operate(TakeReceipt(data, ledger_of))
        assert isinstance(result, Taken)
        return result

    def take_code(self, recipient: str, typed: str) -> Taken:
        result = self.operate(TakeShortCode(recipient, typed, ledger_of))
        assert isinstance(result, Taken)
        return result

    def size(self, code: str) -> int:
        held = self.engine.replica.feeds.get(identity(code).origin)
        return held.size if held is not None else 0

    def codes(self) -> set[Code]:
        return {alarm.code for alarm in self.alarms}

    def copy(self) -> Far:
        """As restored from a backup taken now."""
        return Far(self.code, self.clock, self.store.image())


class Archipelago:
    """The three, and what is carried between them."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.county, self.town, self.village = (
            Far(code, self.clock) for code in (COUNTY, TOWN, VILLAGE)
        )

    def carry(self, sender: Far, recipient: Far, **options) -> Imported:
        """One bundle there, and its receipt back."""
        taken = recipient.take_bundle(sender.export(recipient.code, **options).data)
        sender.take_receipt(taken.receipt)
        return taken

    def close(self) -> None:
        for node in (self.county, self.town, self.village):
            node.store.close()
