"""Making nodes: the root by itself, the others by what their parent hands over."""

from __future__ import annotations

import stat
from hashlib import sha256

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import encode_base64
from huying.common.membership.join_token import parse_token
from huying.common.membership.roster import Roster
from huying.node import config, keys, pins
from huying.node.membership import enrol, joining
from huying.node.membership.invites import InviteFolder, issue
from huying.node.membership.offers import make_offer
from tests.support.enrolled import NETWORK, make_node
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE


@pytest.fixture
def tree(tmp_path):
    county = make_node(
        tmp_path / COUNTY,
        COUNTY,
        sync_listen="127.0.0.1:0",
        sync_advertise="county.example:7400",
    )
    town = make_node(tmp_path / TOWN, TOWN, parent=county.config.file, sync_listen="127.0.0.1:7400")
    village = make_node(tmp_path / VILLAGE, VILLAGE, parent=town.config.file)
    return county, town, village


def token_of(parent: config.Config, code: str, **options) -> str:
    text, _ = issue(
        InviteFolder(parent.invites_dir), make_offer(parent, code, "x", **options), 1, 1.7e9
    )
    return text


def test_a_child_knows_every_ancestor_and_where_to_dial(tree):
    """All that a node trusts from the start came with its token, or was vouched for by it."""
    county, town, village = tree
    above = [pin.code for pin in pins.above(village.config)]
    assert above == [TOWN, COUNTY]
    assert pins.above(town.config) == [county.pin]
    assert pins.own_line(village.config) == [village.pin, town.pin, county.pin]
    loaded = config.load(town.config.file, {})
    assert loaded.parent is not None
    assert loaded.parent.code == COUNTY
    assert loaded.parent.address == "county.example:7400"


def test_the_core_accepts_the_pins(tree):
    """The roster checks names, networks and weak keys once more; nothing here may offend it."""
    _, town, village = tree
    identity = keys.load_identity(village.config.keys_dir, NETWORK, VILLAGE)
    known = [pin.pin() for pin in pins.load_folder(village.config.pins_dir)]
    roster = Roster(identity, TOWN, known)
    assert roster.feed_key(town.pin.feed_key.split("+")[0]) is not None


def test_no_private_key_crosses_between_folders(tree):
    """What a parent hands to its child is public, and so is what it keeps of it."""
    village = tree[-1]
    secrets = {
        line
        for node in tree
        for name in ("feed-e1.key", "witness.key", "tls.key", "hpke.key", "api.token")
        for line in (node.config.keys_dir / name).read_text().splitlines()
        if not line.startswith("-----")
    }
    for node in tree:
        for path in node.config.file.parent.rglob("*.toml"):
            text = path.read_text(encoding="utf-8")
            assert not any(secret in text for secret in secrets), path
    assert stat.S_IMODE(village.config.keys_dir.stat().st_mode) == 0o700


def test_a_node_is_never_overwritten(tmp_path, tree):
    """A second init, or a join, in a node's folder would end its feed."""
    county = tree[0]
    before = county.config.file.read_text()
    with pytest.raises(HuyingError, match="already") as caught:
        make_node(tmp_path / COUNTY, COUNTY)
    assert caught.value.code is Code.CONFIG
    text = token_of(county.config, TOWN)
    with pytest.raises(HuyingError, match="already") as caught:
        joining.begin(tmp_path / COUNTY, parse_token(text), text, joining.Wishes())
    assert caught.value.code is Code.CONFIG
    assert county.config.file.read_text() == before


def test_two_joins_never_mix_in_one_folder(tmp_path, tree):
    """Keys made for one division must not be shown as another's."""
    county = tree[0]
    town, other = (token_of(county.config, code) for code in (TOWN, "370830109000"))
    joining.begin(tmp_path / "new", parse_token(town), town, joining.Wishes())
    with pytest.raises(HuyingError, match=f"{TOWN} is being joined here"):
        joining.begin(tmp_path / "new", parse_token(other), other, joining.Wishes())
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "feed-e1.key").write_text("somebody's")
    with pytest.raises(HuyingError, match="keys are here already"):
        joining.begin(tmp_path, parse_token(town), town, joining.Wishes())


def test_a_join_that_was_cut_while_keys_were_made_makes_them_anew(tmp_path, tree):
    """Nobody knows half of a key set; and of a whole one that was shown nothing may be replaced."""
    text = token_of(tree[0].config, "370830109000")
    token, folder = parse_token(text), tmp_path / "new"
    joining.begin(folder, token, text, joining.Wishes())
    (folder / "join.request").unlink()
    (folder / "keys" / "hpke.key").unlink()
    again = joining.begin(folder, token, text, joining.Wishes())
    assert again.request
    (folder / "keys" / "hpke.key").unlink()
    with pytest.raises(HuyingError, match=r"hpke\.key: missing"):
        joining.begin(folder, token, text, joining.Wishes())


def test_what_a_join_under_way_keeps_is_private(tmp_path, tree):
    """The token lies there until the answer came, which behind a gap takes a day."""
    text = token_of(tree[0].config, "370830109000")
    folder = tmp_path / "new"
    joining.begin(folder, parse_token(text), text, joining.Wishes())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("join.token", "join.request"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert joining.in_progress(folder).token == parse_token(text)
    with pytest.raises(HuyingError, match="no join is under way"):
        joining.in_progress(tmp_path)


def test_a_parent_without_an_address_is_joined_by_file_and_never_dialled(tmp_path):
    """A node behind a gap has an uplink to nowhere; its configuration says so."""
    county = make_node(tmp_path / COUNTY, COUNTY)
    town = make_node(tmp_path / TOWN, TOWN, parent=county.config.file)
    assert town.config.parent is not None
    assert town.config.parent.address is None


def test_an_address_that_nobody_can_dial_is_not_handed_out(tmp_path):
    """0.0.0.0 is where a server listens, not where it is."""
    county = make_node(tmp_path / COUNTY, COUNTY, sync_listen="0.0.0.0:7400")
    with pytest.raises(HuyingError, match="advertise"):
        make_offer(county.config, TOWN)


def test_the_fallback_address_reaches_the_child_s_configuration(tmp_path):
    """The day the first address is dead nobody is there to type it in."""
    county = make_node(tmp_path / COUNTY, COUNTY, sync_listen="127.0.0.1:7400")
    with pytest.raises(HuyingError, match="--fallback"):
        make_offer(county.config, TOWN, fallback="nowhere")
    text = token_of(county.config, TOWN, fallback="203.0.113.9:7400")
    under_way = joining.begin(tmp_path / "t", parse_token(text), text, joining.Wishes())
    assert under_way.config.parent is not None
    assert under_way.config.parent.fallback == "203.0.113.9:7400"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("feed_key = ", "fed_key = ", "unknown"),
        ("name = ", "# name = ", "missing"),
        (f'code = "{TOWN}"', 'code = "370830109000"', "feed_key"),
        ("-----BEGIN", "-----START", "PEM"),
        ('witness_key = "', 'witness_key = "x', "witness_key|verifier key"),
    ],
)
def test_a_damaged_pin_is_refused_by_name(tree, old, new, what):
    """Pins travel on sticks and through editors."""
    _, town, _ = tree
    path = town.config.file.parent / enrol.OWN_PIN_FILE
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(HuyingError, match=what) as caught:
        pins.read(path)
    assert caught.value.code is Code.KEY
    assert str(path) in caught.value.detail


def test_a_weak_key_is_refused(tree):
    """One signature of a small-order key fits every message."""
    _, town, _ = tree
    path = town.config.file.parent / enrol.OWN_PIN_FILE
    name, material = f"{NETWORK}/feed/{TOWN}/e1", b"\x01" + b"\x00" * 32
    key_id = sha256(name.encode() + b"\n" + material).digest()[:4].hex()
    weak = f"{name}+{key_id}+{encode_base64(material).decode()}"
    text = path.read_text(encoding="utf-8").replace(town.pin.feed_key, weak)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HuyingError, match="small order"):
        pins.read(path)


def test_a_pin_file_reads_back_as_it_was_written(tree):
    """Names are Chinese, certificates have many lines."""
    for node in tree:
        assert pins.parse(pins.render(node.pin), "here") == node.pin
