"""Private keys: made once, readable by one user, and never shown."""

from __future__ import annotations

import stat
import traceback

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.feed.note import KeyType
from huying.node import keys, tls

NETWORK, CODE = "wenshang.example", "370830108000"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "keys"
    keys.create_keys(made, made / "api.token", NETWORK, CODE)
    return made


def refused(function, *values) -> HuyingError:
    with pytest.raises(HuyingError) as caught:
        function(*values)
    assert caught.value.code is Code.KEY
    return caught.value


def test_what_was_made_loads_again(tmp_path):
    """The keys of the first start are those of the next."""
    folder = tmp_path / "keys"
    made = keys.create_keys(folder, folder / "api.token", NETWORK, CODE)
    identity = keys.load_identity(folder, NETWORK, CODE)
    assert identity.feed_signer.key == made.identity.feed_signer.key
    assert identity.feed_signer.name == f"{NETWORK}/feed/{CODE}/e1"
    assert identity.feed_signer.type is KeyType.ORIGIN
    assert identity.witness_signer.type is KeyType.COSIGNATURE
    assert keys.load_tls(folder, CODE) == made.tls
    assert len(keys.load_token(folder / "api.token")) >= 32


def test_the_keys_of_the_newest_epoch_are_used(tmp_path, folder):
    """After a rotation the old key stays for reading, and signs no more."""
    keys._create_signer(folder / "feed-e12.key", f"{NETWORK}/feed/{CODE}/e12", KeyType.ORIGIN)
    keys._create_signer(folder / "feed-e2.key", f"{NETWORK}/feed/{CODE}/e2", KeyType.ORIGIN)
    assert keys.load_identity(folder, NETWORK, CODE).origin.endswith("/e12")


def test_files_are_private(folder):
    """Any other user of the machine could sign as the village."""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 6
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("name", ["feed-e1.key", "witness.key", "tls.key", "api.token"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_or_write_is_refused_with_the_remedy(folder, name, mode):
    """A key that leaked is no key; starting with it would hide that."""
    path = folder / name
    path.chmod(mode)
    load = {
        "tls.key": lambda: keys.load_tls(folder, CODE),
        "api.token": lambda: keys.load_token(path),
    }.get(name, lambda: keys.load_identity(folder, NETWORK, CODE))
    assert f"chmod 600 {path}" in refused(load).detail


def test_keys_are_never_replaced(folder):
    """A second init must not orphan a feed whose key it overwrote."""
    before = (folder / "feed-e1.key").read_bytes()
    assert "exists" in refused(keys.create_keys, folder, folder / "t", NETWORK, CODE).detail
    assert (folder / "feed-e1.key").read_bytes() == before


def test_a_missing_key_says_what_to_do(folder):
    """The file is gone: its backup is the only remedy."""
    (folder / "witness.key").unlink()
    assert "backup" in refused(keys.load_identity, folder, NETWORK, CODE).detail


def test_a_missing_key_of_a_later_epoch_names_the_way_without_a_backup(folder):
    """The old key went with the rotation, and a backup from before it holds no newer one."""
    (folder / "feed-e1.key").unlink()
    detail = refused(keys.load_identity, folder, NETWORK, CODE, (2, 2)).detail
    assert "feed-e2.key: missing" in detail
    assert "huying rebuild" in detail


def test_the_key_of_another_node_is_refused(folder):
    """Two folders mixed up would sign one village's history with another's key."""
    assert "another node" in refused(keys.load_identity, folder, NETWORK, "370830109000").detail
    assert "370830109000" in refused(keys.load_tls, folder, "370830109000").detail


def test_a_certificate_of_another_key_is_refused(folder, tmp_path):
    """The handshake would say just that it failed."""
    other = tmp_path / "other"
    keys.create_keys(other, other / "api.token", NETWORK, CODE)
    (folder / "tls.crt").write_bytes((other / "tls.crt").read_bytes())
    assert "no pair" in refused(keys.load_tls, folder, CODE).detail


def test_no_exception_and_no_repr_shows_a_key(folder):
    """Errors are logged and pasted into tickets; locals of a traceback may be too."""
    path = folder / "feed-e1.key"
    secret = path.read_text().rstrip().split("+", 4)[4]
    identity = keys.load_identity(folder, NETWORK, CODE)
    assert secret not in repr(identity)
    assert "PRIVATE" not in repr(keys.load_tls(folder, CODE))
    for damage in (secret[:-8], "*" + secret, secret.swapcase()):
        path.write_text(path.read_text().replace(secret, damage))
        error = refused(keys.load_identity, folder, NETWORK, CODE)
        shown = "".join(traceback.format_exception(error))
        assert secret[:16] not in shown
        assert damage[:16] not in shown
        path.write_text(path.read_text().replace(damage, secret))


def test_the_certificate_can_issue_no_other_and_ends_within_two_years(folder):
    """One town must not vouch for another; a forgotten key must die."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [tls.dns_name(CODE)]
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert days <= keys.CERTIFICATE_DAYS + 1
