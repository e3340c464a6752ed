"""Making nodes and introducing them: who may stand below whom, and what crosses between folders."""

from __future__ import annotations

import stat

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.roster import Roster
from huying.node import config, enrol, keys, pins

NETWORK = "wenshang.example"
COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"


def make(folder, code, parent=None, **options):
    options.setdefault("sync_listen", "127.0.0.1:0")
    return enrol.init_node(
        folder / code, network=NETWORK, code=code, name=f"节点 {code}", parent=parent, **options
    )


@pytest.fixture
def tree(tmp_path):
    county = make(tmp_path, COUNTY, sync_advertise="county.example:7400")
    town = make(tmp_path, TOWN, parent=county.config.file)
    village = make(tmp_path, VILLAGE, parent=town.config.file, sync_listen=None)
    return county, town, village


def test_a_child_knows_every_ancestor_and_its_parent_knows_the_child(tree):
    """Both ends of a link, and the readers above, are trusted from files alone."""
    county, town, village = tree
    above = [pin.code for pin in pins.load_folder(village.config.pins_dir)]
    assert above == sorted([COUNTY, TOWN])
    assert pins.load_folder(town.config.children_dir) == [village.pin]
    assert pins.load_folder(county.config.children_dir) == [town.pin]
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
    """A child's folder may be carried away: what is in it of its parent is public."""
    village = tree[-1]
    secrets = {
        line
        for node in tree
        for name in ("feed-e1.key", "witness.key", "tls.key", "api.token")
        for line in (node.config.keys_dir / name).read_text().splitlines()
        if not line.startswith("-----")
    }
    for node in tree:
        for path in node.config.file.parent.rglob("*.toml"):
            text = path.read_text(encoding="utf-8")
            assert not any(secret in text for secret in secrets), path
    assert stat.S_IMODE(village.config.keys_dir.stat().st_mode) == 0o700


def test_a_node_is_never_overwritten(tmp_path, tree):
    """The second init of a village would end its feed."""
    before = (tmp_path / COUNTY / "node.toml").read_text()
    with pytest.raises(HuyingError, match="already") as caught:
        make(tmp_path, COUNTY)
    assert caught.value.code is Code.CONFIG
    assert (tmp_path / COUNTY / "node.toml").read_text() == before


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("370831108000", "not below"),  # a town of the next county
        (COUNTY, "not below"),
        ("370800000000", "not below"),  # the city above
        ("37083010800", "12 digits"),
    ],
)
def test_only_a_division_below_the_parent_becomes_its_child(tmp_path, code, what):
    """The code alone tells who stands where; nobody can be adopted."""
    county = make(tmp_path, COUNTY)
    with pytest.raises(HuyingError, match=what) as caught:
        make(tmp_path / "x", code, parent=county.config.file)
    assert caught.value.code is Code.CONFIG
    assert not (tmp_path / "x" / code / "node.toml").exists()


def test_a_parent_without_a_listening_address_takes_no_children(tmp_path):
    """The child would have nowhere to dial."""
    town = make(tmp_path, TOWN, sync_listen=None)
    with pytest.raises(HuyingError, match="takes no children"):
        make(tmp_path, VILLAGE, parent=town.config.file)


def test_another_network_is_refused(tmp_path):
    """Two counties' trial networks must not grow together."""
    county = make(tmp_path, COUNTY)
    with pytest.raises(HuyingError, match="network"):
        enrol.init_node(
            tmp_path / "t", network="other.example", code=TOWN, name="镇", parent=county.config.file
        )


def test_a_child_enrolled_twice_is_refused(tmp_path, tree):
    """A second key for a feed that is there already would look like a fork."""
    county, *_ = tree
    with pytest.raises(HuyingError, match="enrolled already"):
        make(tmp_path / "again", TOWN, parent=county.config.file)


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
    from hashlib import sha256

    from huying.common.canonical import encode_base64

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
