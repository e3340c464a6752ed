"""What must not be guessed, read on the way, or forged: codes, tokens, cookies, keys, TLS."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response

from huying.common.errors import HuyingError
from huying.hub.web.server import TLS_CIPHERS, restrict
from huying.node.web import guard
from huying.node.web.access import oidc, totp
from huying.node.web.app import cookie_name, origin_of
from huying.node.web.certificate import tls_files
from tests.support.tiny_network import COUNTY
from tests.unit.console.hostile_town import hostile_town
from tests.unit.console.town_desk import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


def test_tokens_of_a_provider_are_signed_by_its_keys_alone() -> None:
    """`none`, and anything that a shared secret signs, would let whoever knows it sign in."""
    assert not [name for name in oidc._ALGORITHMS if name == "none" or name.startswith("HS")]


def test_metadata_of_another_issuer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers at the provider's address must say that it is that provider, exactly."""
    asked = oidc.Provider("https://a.example", "huying", "s", "https://b.example/", lambda: 0.0)
    monkeypatch.setattr(oidc, "_fetch", lambda _: {"issuer": "https://a.example/"})
    with pytest.raises(HuyingError, match="another issuer"):
        asked._refresh()


def test_a_recovery_code_is_not_guessed() -> None:
    """Twenty bits are asked for; these have more than fifty, and none comes twice."""
    drawn = [code for _ in range(50) for code in totp._draw_codes()]
    assert len(set(drawn)) == len(drawn)
    letters = totp._CODE_GROUPS * totp._CODE_GROUP_CHARACTERS
    assert len(totp._ALPHABET) ** letters > 2**50
    assert all(len(code.replace("-", "")) == letters for code in drawn)


def test_cookies_over_tls_are_of_this_host_alone(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cookies: the session's and the language's."""
    site = town.county.site
    town.county.sign_in("centre")
    monkeypatch.setattr(site, "is_tls", True)
    response = Response()
    monkeypatch.setattr(site, "cookie", cookie_name(COUNTY, is_tls=True))
    site.set_session(response, "x")
    monkeypatch.undo()
    town.county.sign_in("centre")
    monkeypatch.setattr(site, "is_tls", True)
    language = town.county.get("/language?lang=en")
    monkeypatch.undo()
    for header in (response.headers["set-cookie"], language.headers["set-cookie"]):
        assert header.startswith("__Host-"), header
        attributes = {part.strip().lower() for part in header.split(";")}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes
    town.county.sign_out()


def test_a_certificate_that_is_made_has_a_key_of_today(town: Town, tmp_path: Path) -> None:
    """P-256, and the file its owner's alone."""
    config = dataclasses.replace(town.county.config, file=tmp_path / "node.toml")
    config.keys_dir.mkdir(parents=True, exist_ok=True)
    key_file, certificate_file = map(Path, tls_files(config))
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.key_size == 256
    assert key_file.stat().st_mode & 0o077 == 0


def test_beyond_the_machine_pages_are_served_over_tls(town: Town) -> None:
    """Plain HTTP is for loopback alone, whatever the settings leave out."""
    for listen, origin in (("0.0.0.0:8443", "https"), ("127.0.0.1:8000", "http:")):
        section = dataclasses.replace(town.county.config.console, listen=listen, origin=None)
        config = dataclasses.replace(town.county.config, console=section)
        assert origin_of(config).startswith(origin)


def test_tls_is_of_today() -> None:
    """1.2 and 1.3, with forward secrecy and authenticated encryption, whatever the default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(TLS_CIPHERS)
    restrict(context)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")


def test_policies_hold_for_a_year_and_for_names_below() -> None:
    """Sent with every answer over TLS, and a policy that lets nothing foreign in."""
    assert "max-age=31536000" in guard._HSTS
    assert "includeSubDomains" in guard._HSTS
    for directive in ("object-src 'none'", "base-uri 'none'", "form-action 'self'"):
        assert directive in guard.CONTENT_SECURITY_POLICY
