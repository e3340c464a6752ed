"""An operator's word on entries in quarantine: judged again, or acknowledged; counted exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from huying.common import intake
from huying.common.effects import Operate, Operated
from huying.common.errors import Code, HuyingError
from huying.common.integrity.quarantine import Retried, Retry, RetryOutcome, Skip
from huying.common.status import FeedHealth
from huying.node.integrity import fsck
from huying.node.integrity.known_keys import KnownKeys
from huying.node.integrity.repair import repair_store
from huying.node.integrity.repair_report import RepairReport
from huying.node.store.database import sqlite_url
from huying.node.store.quarantine_queries import QuarantineCount
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2
from tests.support.handmade import HandmadeFeed, Host
from tests.support.older_program import an_older_program
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, event, put, raise_call
from tests.unit.calls.test_call_life_tables import migrate_to

TOWN_SLOTS = bytes((0, 3, 4))
VILLAGE_FEED = "wenshang.example/feed/370830108201/e1"


def poisoned(kind: str) -> HandmadeFeed:
    """Five entries, and the middle one is not acceptable."""
    feed = HandmadeFeed(VILLAGE).put_many(2)
    made: dict[str, Callable[[], int]] = {
        "type": lambda: feed.put(type_=4242),
        "region": lambda: feed.put(records_pb2.Event(category="x", grid="370830101201001")),
        "head": lambda: feed.put(head=b"\xff"),
        "leaf": lambda: feed.add(b"\x07poison", []),
        "number": lambda: feed.put(seen=[1, 1]),
    }
    made[kind]()
    return feed.put_many(2)


KINDS = ("type", "region", "head", "leaf", "number")


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(TOWN)
    yield host
    host.store.close()  # type: ignore[attr-defined]


def hear(host: Host, feed: HandmadeFeed) -> HandmadeFeed:
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, len(feed.leaves), readable=TOWN_SLOTS))
    return feed


def operate(host: Host, operation: Any) -> Any:
    host.step(Operate("test", operation))
    done: Operated = host.operated[-1]
    if done.error is not None:
        raise done.error
    return done.result


def waiting(host: Host) -> int:
    """As memory has it, which must be as the database has it, and what fsck counts."""
    state = host.engine.replica.feeds[VILLAGE_FEED]
    assert isinstance(host.store, SqlStore)
    assert state == host.store.feed(VILLAGE_FEED)
    assert fsck.check(host.store, {}, (), host.code).problems == []
    (shown,) = [one for one in host.engine.status().feeds if one.origin == VILLAGE_FEED]
    assert shown.quarantined == state.quarantined
    return state.quarantined


def skip(index: int, reason: str = "known to the county") -> Skip:
    return Skip(VILLAGE_FEED, index, "县-技术-1", reason)


# Judged again.


def test_an_entry_that_the_program_has_come_to_know_takes_effect_once_and_is_counted_once() -> None:
    """A call that an upgrade explains is taken by the county, and none of its numbers is twice."""
    network = TinyNetwork()
    try:
        with an_older_program(lambda message: isinstance(message, calls_pb2.Call)):
            raise_call(network)
        county, store = network.engines[COUNTY], network.stores[COUNTY]
        (feed,) = [one for one in county.replica.feeds.values() if one.quarantined]
        assert store.call_counts().raised == 0
        before, own = feed, county.replica.own.size
        ((index, _, _, _),) = store.quarantined(feed.feed_id, 0, feed.size)
        network._effects(COUNTY, done := county.step([Operate("t", Retry(feed.origin, (index,)))]))
        network.run()
        (answer,) = [effect for effect in done if isinstance(effect, Operated)]
        assert answer.result == (Retried(index, RetryOutcome.APPLIED, ()),)
        after = county.replica.feeds[feed.origin]
        assert after.quarantined == 0
        assert replace(after, quarantined=1, head=None, cosigned=None) == replace(
            before, head=None, cosigned=None
        )
        assert store.call_counts().raised == 1
        assert county.replica.own.size > own, "the county took the call, as it takes every other"
        size = county.replica.own.size
        (again,) = [
            effect
            for effect in county.step([Operate("t", Retry(feed.origin, (index,)))])
            if isinstance(effect, Operated)
        ]
        assert again.error is not None
        assert again.error.code is Code.NOT_FOUND
        network.run()
        assert (store.call_counts().raised, county.replica.own.size) == (1, size)
        assert fsck.check(store, {}, (), COUNTY).problems == []
    finally:
        network.close()


def test_a_record_that_is_retried_stands_behind_the_one_that_came_after_it() -> None:
    """Retrying the past must not undo what the village has said since."""
    network = TinyNetwork()
    try:
        with an_older_program(lambda message: getattr(message, "category", "") == "道路"):
            (first,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(1)))
        later = event(2, status=3)
        network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, later, record=first.record))
        town, store = network.engines[TOWN], network.stores[TOWN]
        network._effects(TOWN, town.step([Operate("t", Retry(VILLAGE_FEED, (first.index,)))]))
        row = store.get_record(feed_pb2.RECORD_TYPE_EVENT, VILLAGE, first.record)
        assert row is not None
        assert row.index > first.index
        assert town.replica.feeds[VILLAGE_FEED].quarantined == 0
    finally:
        network.close()


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("type", RetryOutcome.REFUSED),
        ("region", RetryOutcome.REFUSED),
        ("number", RetryOutcome.REFUSED),
        ("head", RetryOutcome.BARE),
        ("leaf", RetryOutcome.BARE),
    ],
)
def test_what_is_as_wrong_as_before_stays_and_is_said_to(
    host: Host, kind: str, outcome: RetryOutcome
) -> None:
    """A retry is a question, not an order."""
    hear(host, poisoned(kind))
    since = host.store.quarantined(2, 2, 3)
    host.clock.seconds += 100
    (found,) = operate(host, Retry(VILLAGE_FEED, (2,)))
    assert found.outcome is outcome
    assert found.faults
    assert waiting(host) == 1
    assert host.store.quarantined(2, 2, 3) == since, "with the time since when it is"


def test_a_retry_names_the_new_reason_where_the_old_one_is_gone(host: Host) -> None:
    """The type is known by now, and the record turns out to be of another region."""
    feed = HandmadeFeed(VILLAGE)
    feed.put(records_pb2.Event(category="x", grid="370830101201001"))

    def older(head: feed_pb2.Head, _home: str, _body: bytes) -> Any:
        raise HuyingError(Code.UNKNOWN_TYPE, f"record type {head.type}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "decode", older)
        hear(host, feed)
    (found,) = operate(host, Retry(VILLAGE_FEED, (0,)))
    assert [code for code, _ in found.faults] == [Code.WRONG_REGION]
    assert [row[1] for row in host.store.quarantined(2, 0, 1)] == [Code.WRONG_REGION]
    assert waiting(host) == 1


def test_a_statement_that_is_refused_again_is_counted_once() -> None:
    """Its reaction speaks after the entry has left quarantine, and puts it back."""
    network = TinyNetwork()
    try:
        village = network.engines[VILLAGE]
        with pytest.MonkeyPatch.context() as patch:

            def refuse(_entry: object, _replaying: bool) -> None:
                raise HuyingError(Code.BAD_RECORD, "not now")

            reactions = village.replica.statements.reactions
            patch.setitem(reactions, feed_pb2.RECORD_TYPE_MEMBER, refuse)
            member = 0  # the county's first entry enrols the town
            feed = village.replica.feeds[network.engines[COUNTY].identity.origin]
            with network.stores[VILLAGE].transaction():
                network.stores[VILLAGE].quarantine(feed.feed_id, member, Code.BAD_RECORD, "x", 1.0)
            village.replica.feeds[feed.origin] = replace(feed, quarantined=1)
            (done,) = [
                effect
                for effect in village.step([Operate("t", Retry(feed.origin, (member,)))])
                if isinstance(effect, Operated)
            ]
            assert done.result == (
                Retried(member, RetryOutcome.REFUSED, ((Code.BAD_RECORD, "not now"),)),
            )
            assert village.replica.feeds[feed.origin].quarantined == 1
        village.step([Operate("t", Retry(feed.origin, (member,)))])
        assert village.replica.feeds[feed.origin].quarantined == 0
    finally:
        network.close()


def test_a_retry_that_names_an_entry_which_is_not_there_changes_nothing_at_all(host: Host) -> None:
    """All of it or none: half a retry would leave the operator guessing."""
    feed = HandmadeFeed(VILLAGE)
    with an_older_program(lambda message: isinstance(message, records_pb2.Event)):
        hear(host, feed.put_many(3))
    before = host.store.quarantined(2, 0, 3)
    for wrong in (3, 2**62):
        with pytest.raises(HuyingError, match="NOT_FOUND"):
            operate(host, Retry(VILLAGE_FEED, (0, 1, wrong)))
    with pytest.raises(HuyingError, match="NOT_FOUND"):
        operate(host, Retry("wenshang.example/feed/370830108202/e1", (0,)))
    with pytest.raises(HuyingError, match="LIMIT_EXCEEDED"):
        operate(host, Retry(VILLAGE_FEED, tuple(range(257))))
    assert host.store.quarantined(2, 0, 3) == before
    assert waiting(host) == 3


def test_a_retry_whose_transaction_fails_leaves_memory_and_database_as_they_were(
    host: Host,
) -> None:
    """A disk that is full at the commit must not leave a count that nobody can explain."""
    with an_older_program(lambda message: isinstance(message, records_pb2.Event)):
        hear(host, HandmadeFeed(VILLAGE).put_many(2))
    with pytest.MonkeyPatch.context() as patch:

        def full(_applied: object) -> None:
            raise HuyingError(Code.DISK_FULL, "no space")

        patch.setattr(host.store, "apply", full)
        host.step(Operate("t", Retry(VILLAGE_FEED, (0, 1))))
    assert host.operated[-1].error is not None
    assert waiting(host) == 2
    assert [one.outcome for one in operate(host, Retry(VILLAGE_FEED, (0, 1)))] == [
        RetryOutcome.APPLIED
    ] * 2
    assert waiting(host) == 0


# Acknowledged.


def test_an_entry_that_was_skipped_is_not_waited_for_any_more_and_says_who_and_why(
    host: Host,
) -> None:
    """It stays as it came: a person has looked, that is all."""
    hear(host, poisoned("type"))
    held = host.store.entries(2, 2, 3)
    assert operate(host, skip(2)) is False
    assert waiting(host) == 0
    assert isinstance(host.store, SqlStore)
    found = host.store.find_quarantined(VILLAGE_FEED, 2)
    assert found is not None
    assert found.skip is not None
    assert (found.skip.actor, found.skip.reason) == ("县-技术-1", "known to the county")
    assert found.skip.at == host.clock.now()
    assert found.head.type == 4242
    assert host.store.entries(2, 2, 3) == held
    assert operate(host, skip(2, "somebody else's words")) is True
    kept = host.store.find_quarantined(VILLAGE_FEED, 2)
    assert kept == found, "the first word stands"
    assert host.store.quarantine_counts() == {VILLAGE_FEED: QuarantineCount(0, 1)}


@pytest.mark.parametrize(
    "reason", ["", "  ", "two\nlines", "x" * 201, "bell\a", "\u202eback"], ids=ascii
)
def test_a_reason_is_one_line_that_somebody_can_read(host: Host, reason: str) -> None:
    """It stands on the screens of whoever comes after."""
    hear(host, poisoned("type"))
    with pytest.raises(HuyingError, match="INVALID_ARGUMENT: reason"):
        operate(host, skip(2, reason))
    assert waiting(host) == 1


def test_only_what_is_in_quarantine_can_be_skipped(host: Host) -> None:
    """A note on an entry that is well would hide the day it is not."""
    hear(host, poisoned("type"))
    for index in (0, 5, 2**62):
        with pytest.raises(HuyingError, match="NOT_FOUND"):
            operate(host, skip(index))


def test_what_was_skipped_stays_skipped_over_a_restart(tmp_path: Path) -> None:
    """Or every restart would raise the alarm anew."""
    url = sqlite_url(tmp_path / "node.db")
    first = Host(TOWN, store=SqlStore.open(url))
    hear(first, poisoned("type"))
    operate(first, skip(2))
    first.store.close()  # type: ignore[attr-defined]
    again = Host(TOWN, store=SqlStore.open(url), mark=first.mark)
    assert waiting(again) == 0
    again.link(VILLAGE)
    assert waiting(again) == 0
    again.store.close()  # type: ignore[attr-defined]


def test_a_reason_that_comes_late_to_a_skipped_entry_does_not_make_it_wait_again(
    host: Host,
) -> None:
    """Its opening arrives, and is as unknown as the rest: a person has seen it already."""
    feed = HandmadeFeed(VILLAGE).put_many(1)
    feed.put(type_=4242)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=bytes((0,))))
    assert waiting(host) == 1
    operate(host, skip(1))
    host.hear(link, feed.disclose(1, readable=TOWN_SLOTS))
    assert waiting(host) == 0


def test_an_entry_counts_once_however_many_reasons_there_are(host: Host) -> None:
    """An unknown type under a number that was used before is one entry to look at."""
    feed = HandmadeFeed(VILLAGE).put_many(2)
    feed.put(type_=4242, seen=[1, 1])
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 3, readable=bytes((0,))))
    assert waiting(host) == 1
    assert len(host.store.quarantined(2, 2, 3)) == 2
    host.hear(link, feed.disclose(2, readable=TOWN_SLOTS))
    assert waiting(host) == 1


def test_whoever_asks_for_a_new_verdict_takes_the_acknowledgement_back(host: Host) -> None:
    """A refusal that nobody has read must be seen; a skip can be given again."""
    hear(host, poisoned("region"))
    operate(host, skip(2))
    assert waiting(host) == 0
    operate(host, Retry(VILLAGE_FEED, (2,)))
    assert waiting(host) == 1
    operate(host, skip(2))
    assert waiting(host) == 0


# Lists.


def test_a_list_goes_page_by_page_and_by_who_has_looked(host: Host) -> None:
    """A feed that went wrong may have thousands."""
    feed = HandmadeFeed(VILLAGE)
    for _ in range(7):
        feed.put(type_=4242)
    hear(host, feed)
    for index in (1, 5):
        operate(host, skip(index))
    assert isinstance(host.store, SqlStore)
    seen, token = [], b""
    while True:
        page = host.store.list_quarantined(token=token, limit=3)
        seen += [one.index for one in page.rows]
        token = page.next_token
        if not token:
            break
    assert seen == list(range(7))
    skipped = host.store.list_quarantined(VILLAGE_FEED, waiting=False)
    assert [one.index for one in skipped.rows] == [1, 5]
    left = host.store.list_quarantined(waiting=True)
    assert [one.index for one in left.rows] == [0, 2, 3, 4, 6]
    assert host.store.list_quarantined("wenshang.example/feed/37/e1").rows == ()
    for wrong in (b"x", b"1.-1", b"1." + b"9" * 99, "１.２".encode()):
        with pytest.raises(HuyingError, match="INVALID_ARGUMENT"):
            host.store.list_quarantined(token=wrong)
    assert host.store.list_quarantined(token=b"9999999999999.99999999999999").rows == ()


# What fsck makes of it.


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_with_an_entry_in_quarantine_is_well_and_a_repair_invents_nothing(
    host: Host, kind: str
) -> None:
    """Or the check would cry wolf at every newer release, and the repair accuse an honest peer."""
    hear(host, poisoned(kind))
    assert isinstance(host.store, SqlStore)
    assert fsck.check(host.store, {}, (), TOWN).problems == []
    before = host.store.feed(VILLAGE_FEED), host.store.missing(2)
    with host.store.transaction():
        repair_store(host.store, TOWN, KnownKeys, RepairReport())
    assert (host.store.feed(VILLAGE_FEED), host.store.missing(2)) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE feeds SET quarantined = 7 WHERE feed_id = 2",
        "INSERT INTO quarantine_skips VALUES (2, 0, 1.0, 'who', 'why')",
        "INSERT INTO quarantine_skips VALUES (9, 2, 1.0, 'who', 'why')",
        "UPDATE quarantine_skips SET skipped = 9e99",
        "UPDATE quarantine_skips SET idx = 4",
        "DELETE FROM quarantine_skips",
    ],
)
def test_a_damaged_note_is_found_and_put_right(host: Host, damage: str) -> None:
    """These tables are signed by nobody: they have to fit each other, and what is there."""
    hear(host, poisoned("type"))
    operate(host, skip(2))
    store = host.store
    assert isinstance(store, SqlStore)
    with store.transaction():
        store.write(damage, [()])
    assert fsck.check(store, {}, (), TOWN).problems
    with store.transaction():
        repair_store(store, TOWN, KnownKeys, RepairReport())
    assert fsck.check(store, {}, (), TOWN).problems == []


def test_a_quarantined_entry_withholds_nothing(host: Host) -> None:
    """The state of the feed says how it travels; what is in it is another matter."""
    hear(host, poisoned("type"))
    operate(host, Retry(VILLAGE_FEED, (2,)))
    (shown,) = [one for one in host.engine.status().feeds if one.origin == VILLAGE_FEED]
    assert shown.health is not FeedHealth.WITHHELD
    assert shown.missing == 0


def test_an_upgrade_counts_each_entry_once(tmp_path: Path) -> None:
    """The release before counted an entry again with each reason that came late."""
    path = tmp_path / "node.db"
    store = SqlStore.open(sqlite_url(path))
    host = Host(TOWN, store=store)
    hear(host, poisoned("type"))
    with store.transaction():
        store.quarantine(2, 2, Code.NUMBER_REUSED, "too", 1.0)
        store.write("UPDATE feeds SET quarantined = 9 WHERE feed_id = 2", [()])
    store.close()
    migrate_to(path, "0008", command.downgrade)
    again = SqlStore.open(sqlite_url(path))
    assert again.quarantine_counts() == {VILLAGE_FEED: QuarantineCount(1, 0)}
    feed = again.feed(VILLAGE_FEED)
    assert feed is not None
    assert feed.quarantined == 1
    again.close()
