"""Moving a node under another parent: what changes, and what stays."""

from __future__ import annotations

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.membership.join_token import parse_token
from huying.node import config as node_config
from huying.node import pins
from huying.node.admin import handler
from huying.node.admin.offline import carry_out
from huying.node.cli import offline
from huying.node.membership import rehoming
from huying.node.membership.invites import InviteFolder, issue
from huying.node.membership.offers import make_offer
from huying.wire.v1 import admin_pb2
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE


@pytest.fixture
def line(tmp_path):
    county = make_node(tmp_path / "c", COUNTY, sync_listen="10.0.0.1:7400")
    town = make_node(tmp_path / "t", TOWN, parent=county.config.file, sync_listen="10.0.0.2:7400")
    return county, town, make_node(tmp_path / "v", VILLAGE, parent=town.config.file)


def token_for(parent, code, fallback=""):
    offer = make_offer(parent.config, code, "村", fallback)
    return parse_token(issue(InviteFolder(parent.config.invites_dir), offer, 1, 4e9)[0])


def move(node, parent, **options):
    config = node_config.load(node.config.file, {})
    token = token_for(parent, config.node.code, **options)
    request = rehoming.rehome_request(config, token)
    asked = admin_pb2.EnrolByFileRequest(request=request)
    answer = carry_out(parent.config, handler("EnrolByFile"), asked).response
    return rehoming.rehome(config, token, request, answer)


def test_a_move_changes_the_section_of_the_parent_and_nothing_else(line):
    """A person's settings, remarks and keys are theirs. Here the town got another address."""
    _, town, village = line
    file = village.config.file
    file.write_text(file.read_text() + '\n# 机房二楼\n[log]\nlevel = "debug"\n', encoding="utf-8")
    town.config.file.write_text(town.config.file.read_text().replace("10.0.0.2", "10.7.7.7"))
    before = {path: path.read_bytes() for path in (file.parent / "keys").iterdir()}
    there = type(town)(node_config.load(town.config.file, {}), town.pin)
    moved = move(village, there, fallback="203.0.113.9:7400")
    assert (moved.parent.code, moved.before, moved.state) == (TOWN, TOWN, "enrolled")
    assert not moved.root_changed
    loaded = node_config.load(file, {})
    assert loaded.parent is not None
    assert (loaded.parent.code, loaded.parent.address) == (TOWN, "10.7.7.7:7400")
    assert loaded.parent.fallback == "203.0.113.9:7400"
    assert loaded.log.level == "debug"
    assert "# 机房二楼" in file.read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in (file.parent / "keys").iterdir()} == before
    assert [pin.code for pin in pins.above(loaded)] == [TOWN, COUNTY]
    assert moved.roster_index == 1  # the same origin as before: no new epoch, one entry more
    move(village, line[1])
    assert node_config.load(file, {}).parent == village.config.parent


def test_a_root_that_rotated_its_key_by_its_own_word_is_the_same_root(line, monkeypatch):
    """An alarm at each move after an ordinary rotation teaches people to pass over it."""
    county, town, _ = line
    opened = offline.open_reader
    rotate = admin_pb2.RotateKeyRequest(use=admin_pb2.KEY_USE_FEED)
    carry_out(county.config, handler("RotateKey"), rotate)
    carry_out(county.config, handler("RotateKey"), rotate)
    assert move(town, county).root_changed, "the town has not heard of it"
    pins.write(town.config.pins_dir / f"{COUNTY}.toml", county.pin)
    monkeypatch.setattr(offline, "open_reader", lambda _config: opened(county.config))
    assert not move(town, county).root_changed


def test_a_root_key_that_nobody_explained_is_another(line, monkeypatch, tmp_path):
    """Whoever poses as the root has a key of a later epoch, too, and not the root's word for it."""
    _, town, _ = line
    opened = offline.open_reader
    false = make_node(tmp_path / "f", COUNTY, sync_listen="10.0.0.1:7400")
    carry_out(
        false.config, handler("RotateKey"), admin_pb2.RotateKeyRequest(use=admin_pb2.KEY_USE_FEED)
    )
    monkeypatch.setattr(offline, "open_reader", lambda _config: opened(false.config))
    assert move(town, false).root_changed


def test_a_parent_that_never_heard_of_a_node_does_not_take_it_from_its_own(line):
    """Else a county could make up a key for a village of a town's, and speak in its name."""
    county, _, village = line
    before = village.config.file.read_text()
    with pytest.raises(HuyingError) as caught:
        move(village, county)
    assert caught.value.code is Code.JOIN_REFUSED
    assert village.config.file.read_text() == before


def test_a_root_may_be_put_below_another(line, tmp_path):
    """A city joins: the county that was the root gets a parent, and keeps its feed."""
    county = line[0]
    city = make_node(tmp_path / "city", "370800000000", sync_listen="10.0.0.9:7400")
    moved = move(county, city)
    assert (moved.parent.code, moved.before) == ("370800000000", "")
    loaded = node_config.load(county.config.file, {})
    assert loaded.parent is not None
    assert loaded.parent.code == "370800000000"


def test_a_token_of_another_node_moves_nobody(line):
    """It would be refused by the parent, too; here nothing is even asked."""
    county, town, village = line
    with pytest.raises(HuyingError, match="the token is of") as caught:
        rehoming.rehome_request(village.config, token_for(county, TOWN))
    assert caught.value.code is Code.CONFIG
    assert town.config.parent is not None


def test_an_answer_that_is_not_believed_changes_nothing(line):
    """Half a move would leave a node that trusts nobody."""
    county, _, village = line
    token = token_for(county, VILLAGE)
    request = rehoming.rehome_request(village.config, token)
    before = village.config.file.read_text()
    with pytest.raises(HuyingError):
        rehoming.rehome(village.config, token, request, b"\x00")
    assert village.config.file.read_text() == before
    assert [pin.code for pin in pins.above(village.config)] == [TOWN, COUNTY]
