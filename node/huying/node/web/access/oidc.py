"""Signing in through an OpenID provider: the authorization code flow with PKCE, and nothing else.

Authlib speaks the protocol and joserfc checks the ID token; what is here decides what is asked for,
and what is believed. OpenID Connect Core 1.0, 3.1.3.7, gives the checks of the ID token; RFC 9700
asks for PKCE, an exact redirect URI and a state of its own for each flow; RFC 9207 for the issuer
in the answer. Who somebody is at the provider is the pair of issuer and subject; mail addresses and
names are never believed.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from huying.common.errors import Code, HuyingError
from huying.common.limits import MIB
from huying.node.console_settings import OidcSection

__all__ = ["FLOWS_MAX", "FLOW_SECONDS", "Flow", "Flows", "Provider", "Subject", "open_provider"]

FLOWS_MAX: Final = 1000  # begun and not ended; the oldest goes first
PLACES: Final = 4  # conversations with the provider at once; it may be slow, and pages go on
FLOW_SECONDS: Final = 600.0  # to sign in at the provider
_HTTP_SECONDS: Final = 10.0
_ANSWER_BYTES_MAX: Final = MIB
_METADATA_SECONDS: Final = 3600.0  # before the provider's metadata and keys are fetched again
_SKEW_SECONDS: Final = 60
_VERIFIER_CHARACTERS: Final = 64
# Signatures by the provider's published keys alone: a shared secret or none proves nothing here.
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the provider vouched for."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that is under way at the provider."""

    state: str
    nonce: str
    verifier: str
    began: float  # unix seconds
    next: str  # where to go afterwards; a path of ours
    bind: str = ""  # the id of the person whose account it is for; empty: a sign-in


class Flows:
    """The flows under way, each by a secret that its browser alone has, in a cookie."""

    def __init__(self) -> None:
        self._flows: OrderedDict[str, Flow] = OrderedDict()
        self.places = anyio.CapacityLimiter(PLACES)

    def begin(self, now: float, next_: str, bind: str = "") -> tuple[str, Flow]:
        """(the browser's secret, the flow)."""
        key = secrets.token_urlsafe(32)
        flow = Flow(
            state=generate_token(43),
            nonce=generate_token(43),
            verifier=generate_token(_VERIFIER_CHARACTERS),
            began=now,
            next=next_,
            bind=bind,
        )
        self._flows[key] = flow
        while len(self._flows) > FLOWS_MAX:
            self._flows.popitem(last=False)
        return key, flow

    def end(self, key: str, state: str, now: float) -> Flow:
        """The flow of a browser that came back. Raises HuyingError(UNAUTHENTICATED).

        It is over then, whatever becomes of it: no answer is taken twice.
        """
        flow = self._flows.pop(key, None)
        if flow is None or now - flow.began > FLOW_SECONDS:
            raise _refused("the sign-in was begun elsewhere, or too long ago; begin again")
        if not hmac.compare_digest(flow.state.encode(), state.encode()):
            raise _refused("state: not that of this browser's sign-in")
        return flow


class Provider:
    """One provider. Methods block, and raise HuyingError: UNREACHABLE, CONFIG, UNAUTHENTICATED."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        clock: Callable[[], float],
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._metadata: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched = float("-inf")

    def address(self, flow: Flow) -> str:
        """Where the browser goes to sign in."""
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(url)

    def subject(self, flow: Flow, code: str, issuer: str) -> Subject:
        """Whom the provider vouches for; `issuer` is what its answer named, empty for nothing."""
        if issuer and issuer != self.issuer:
            raise _refused("iss: the answer is another provider's")
        token = self._token(flow, code)
        claims = self._claims(token)
        self._check(claims, flow)
        return Subject(self.issuer, str(claims["sub"]))

    def _client(self) -> Any:  # a requests.Session, which the stubs do not know
        return OAuth2Session(
            self._client_id,
            self._client_secret,
            scope="openid",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            default_timeout=_HTTP_SECONDS,
        )

    def _token(self, flow: Flow, code: str) -> str:
        try:
            with self._client() as client:
                answer = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=flow.verifier,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise _unreachable(error) from None
        except (AuthlibBaseError, ValueError):
            # The provider's own words are not shown: they may repeat the code.
            raise _refused("the provider did not take the code; sign in again") from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused("id_token: the provider sent none; ask for the scope openid")
        return token

    def _claims(self, token: str) -> Mapping[str, Any]:
        for again in (False, True):
            try:
                return jwt.decode(token, self._key_set(again=again), algorithms=_ALGORITHMS).claims
            except (JoseError, ValueError):
                # Keys rotate: one that is not known yet is fetched once.
                continue
        raise _refused("id_token: its signature is none of the provider's")

    def _check(self, claims: Mapping[str, Any], flow: Flow) -> None:
        """OpenID Connect Core 1.0, 3.1.3.7: issuer, audience, authorized party, times, nonce."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        expires, issued = claims.get("exp"), claims.get("iat")
        now = self._clock()
        faults = {
            "iss": claims.get("iss") != self.issuer,
            "aud": self._client_id not in audiences,
            "azp": len(audiences) > 1 and claims.get("azp") != self._client_id,
            "exp": not isinstance(expires, int | float) or expires <= now - _SKEW_SECONDS,
            "iat": not isinstance(issued, int | float) or issued > now + _SKEW_SECONDS,
            "nonce": not hmac.compare_digest(
                str(claims.get("nonce", "")).encode(), flow.nonce.encode()
            ),
            "sub": not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255,
        }
        wrong = [name for name, is_wrong in faults.items() if is_wrong]
        if wrong:
            raise _refused(f"id_token: {', '.join(wrong)}: not what was asked for")

    def _endpoint(self, name: str) -> str:
        self._refresh()
        address = self._metadata.get(name)
        if not isinstance(address, str) or not _is_safe(address):
            raise HuyingError(Code.CONFIG, f"oidc.issuer: its {name} is missing, or not https")
        return address

    def _key_set(self, *, again: bool) -> KeySet:
        self._refresh()
        if self._keys is None or again:
            try:
                self._keys = KeySet.import_key_set(_fetch(self._endpoint("jwks_uri")))  # type: ignore[arg-type]  # checked by it
            except (JoseError, ValueError, KeyError, TypeError):
                raise HuyingError(Code.CONFIG, "oidc.issuer: its keys can't be read") from None
        return self._keys

    def _refresh(self) -> None:
        if self._clock() - self._fetched < _METADATA_SECONDS:
            return
        found = _fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        # OpenID Connect Discovery 1.0, 4.3: it must be the very same.
        if found.get("issuer") != self.issuer:
            raise HuyingError(
                Code.CONFIG, "oidc.issuer: the provider names another issuer; write it as it does"
            )
        self._metadata, self._keys, self._fetched = found, None, self._clock()


def open_provider(
    section: OidcSection, secret_file: Path, origin: str, clock: Callable[[], float]
) -> Provider | None:
    """The provider of a configuration; None where it names none.

    Raises HuyingError(CONFIG) where something of it is missing or unsafe.
    """
    if section.issuer is None:
        return None
    if section.client_id is None:
        raise HuyingError(Code.CONFIG, "oidc.client_id: missing; the provider's operator gives it")
    if not _is_safe(section.issuer):
        raise HuyingError(Code.CONFIG, "oidc.issuer: https, or http on this machine alone")
    try:
        if secret_file.stat().st_mode & 0o077:
            raise HuyingError(Code.CONFIG, f"oidc.client_secret_file: {secret_file}: chmod 600")
        secret = secret_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        why = error.strerror
        raise HuyingError(
            Code.CONFIG, f"oidc.client_secret_file: {secret_file} can't be read: {why}"
        ) from None
    return Provider(section.issuer, section.client_id, secret, f"{origin}/oidc/callback", clock)


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and local)


def _fetch(address: str) -> Mapping[str, Any]:
    """A JSON object. Raises HuyingError(UNREACHABLE or CONFIG)."""
    try:
        with requests.get(
            address, timeout=_HTTP_SECONDS, allow_redirects=False, stream=True
        ) as answer:
            answer.raise_for_status()
            body = answer.raw.read(_ANSWER_BYTES_MAX + 1, decode_content=True)
    except requests.RequestException as error:
        raise _unreachable(error) from None
    if len(body) > _ANSWER_BYTES_MAX:
        raise HuyingError(Code.CONFIG, "oidc.issuer: its answer is too large")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HuyingError(Code.CONFIG, "oidc.issuer: its answer is no JSON object")
    return found


def _refused(detail: str) -> HuyingError:
    return HuyingError(Code.UNAUTHENTICATED, detail)


def _unreachable(error: Exception) -> HuyingError:
    return HuyingError(
        Code.UNREACHABLE, f"the OpenID provider did not answer: {type(error).__name__}"
    )
