"""Whose signatures count, and where each node stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.membership.roster import Roster
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity, pin

OTHER_VILLAGE = "370830108202"


def town_roster() -> Roster:
    return Roster(identity(TOWN), COUNTY, [pin(COUNTY), pin(VILLAGE)])


def test_pins_are_known_from_the_start_and_members_are_learnt() -> None:
    """Trust replicates like everything else."""
    roster = town_roster()
    assert roster.feed_key(identity(COUNTY).origin) == identity(COUNTY).feed_signer.key
    assert roster.feed_key(identity(OTHER_VILLAGE).origin) is None
    assert roster.add(pin(OTHER_VILLAGE))
    assert not roster.add(pin(OTHER_VILLAGE))
    assert roster.feed_key(identity(OTHER_VILLAGE).origin) is not None


def test_the_first_key_of_an_origin_stays() -> None:
    """A key lives for one epoch and an epoch has one key; another one is a forgery or a fault."""
    roster = town_roster()
    forged = replace(pin(VILLAGE), feed_key=pin(OTHER_VILLAGE).feed_key)
    with pytest.raises(HuyingError) as caught:
        roster.add(forged)
    assert caught.value.code is Code.KEY
    signer = identity(OTHER_VILLAGE).feed_signer
    other = type(signer).from_seed(identity(VILLAGE).origin, signer.type, bytes(31) + b"\x09")
    with pytest.raises(HuyingError) as caught:
        roster.add(replace(pin(VILLAGE), feed_key=str(other.key)))
    assert caught.value.code is Code.KEY
    assert roster.feed_key(identity(VILLAGE).origin) == identity(VILLAGE).feed_signer.key


def test_neighbours_lie_on_the_line_to_everybody() -> None:
    """Every reader's path to the origin is one line."""
    roster = town_roster()
    assert roster.link_towards(VILLAGE) == VILLAGE
    assert roster.link_towards(COUNTY) == COUNTY
    assert roster.link_towards("370830101000") == COUNTY
    assert roster.link_towards(OTHER_VILLAGE) is None
    county = Roster(identity(COUNTY), None, [pin(TOWN)])
    assert county.link_towards(VILLAGE) == TOWN


def test_a_node_witnesses_its_parent_and_its_children_alone() -> None:
    """A cosignature of anybody else's feed would vouch for what was not held."""
    roster = town_roster()
    roster.add(pin(OTHER_VILLAGE))
    witnessed = [code for code in (COUNTY, VILLAGE, OTHER_VILLAGE) if roster.is_witness_of(code)]
    assert witnessed == [COUNTY, VILLAGE]


def test_readers_of_the_own_feed_are_the_known_ancestors_and_all_below() -> None:
    """Each of them gets its own pulse."""
    roster = town_roster()
    roster.add(pin(OTHER_VILLAGE))
    roster.add(pin("370830101000"))
    assert set(roster.readers()) == {COUNTY, VILLAGE, OTHER_VILLAGE}
