"""Signing in through a real OpenID provider: Canaille, in a server of its own, over HTTP."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import RSAKey

from huying.common.errors import Code, HuyingError
from huying.node.console_settings import OidcSection
from huying.node.web.access.oidc import FLOW_SECONDS, FLOWS_MAX, Flows, Provider, open_provider
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

pytestmark = pytest.mark.filterwarnings("ignore")  # of the provider's own libraries


@pytest.fixture(scope="module")
def console(tmp_path_factory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        network.network.clock.seconds = time.time()
        with ConsoleUnderTest(network, COUNTY) as site:
            yield site
        network.close()


@pytest.fixture(scope="module")
def client(iam_server, console):
    """The console, registered at the provider."""
    now = datetime.now(UTC)
    made = iam_server.models.Client(
        client_id="huying",
        client_id_issued_at=now,
        client_secret="secret-of-the-client",
        client_secret_expires_at=now + timedelta(days=1),
        client_name="Huying",
        client_uri=console.site.origin,
        redirect_uris=[f"{console.site.origin}/oidc/callback"],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid"],
        token_endpoint_auth_method="client_secret_basic",
    )
    iam_server.backend.save(made)
    made.audience = [made]
    iam_server.backend.save(made)
    issuer = requests.get(f"{iam_server.url}.well-known/openid-configuration", timeout=10).json()
    console.site.provider = Provider(
        issuer["issuer"],
        "huying",
        "secret-of-the-client",
        f"{console.site.origin}/oidc/callback",
        console.clock.now,
    )
    yield made
    iam_server.backend.delete(made)


@pytest.fixture
def user(iam_server, client):
    made = iam_server.random_user()
    iam_server.login(made)
    iam_server.consent(made)
    yield made
    iam_server.logout()


def through_the_provider(console: ConsoleUnderTest, start: str = "/oidc/start") -> str:
    """What a browser does: to the provider, and the address it is sent back to."""
    console.clock.seconds = time.time()
    to = console.get(start)
    assert to.status_code == 303, to.text
    with requests.Session() as browser:
        address = to.headers["location"]
        for _ in range(5):
            answer = browser.get(address, allow_redirects=False, timeout=10)
            address = answer.headers["location"]
            if address.startswith(console.site.origin):
                return address.removeprefix(console.site.origin)
    raise AssertionError("the provider did not come back")


def bind(console: ConsoleUnderTest, login: str) -> None:
    console.clock.seconds = time.time()
    console.sign_in("centre", login=login)
    answer = console.get(through_the_provider(console, "/oidc/bind"))
    assert answer.status_code == 303, answer.text


def test_who_bound_the_identity_signs_in_with_it(console, user):
    """The whole flow over the wire: metadata, code, PKCE, token, keys, nonce."""
    bind(console, "bound")
    console.sign_out()
    back = through_the_provider(console, "/oidc/start?next=/measures")
    answer = console.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/measures")
    assert console.get("/drafts").status_code in (405, 404)
    assert console.get("/").status_code == 303
    assert "sign-in" not in console.get("/").headers["location"]


def test_signing_in_ends_what_the_browser_had(console, user):
    """A session that was planted before is worthless afterwards, as with a password."""
    bind(console, "planted")
    person = console.sign_in("centre", login="planted-before")
    answer = console.get(through_the_provider(console))
    assert answer.status_code == 303
    assert console.site.sessions.list(person.id, console.clock.now()) == ()


def test_an_identity_that_nobody_bound_opens_nothing(console, user):
    """The provider vouches for a whole county's staff; who may work here the administrator says."""
    console.sign_out()
    answer = console.get(through_the_provider(console))
    assert answer.status_code == 403
    assert console.get("/measures").status_code == 303


def test_a_disabled_person_s_identity_opens_nothing(console, user):
    bind(console, "leaver")
    person = console.site.accounts.by_login("leaver")
    console.site.accounts.disable(person.id, console.clock.now(), keep_admin=False)
    console.sign_out()
    assert console.get(through_the_provider(console)).status_code == 403


def test_an_answer_is_taken_once_and_by_its_own_browser(console, user):
    """A stolen address, or one sent to somebody else, signs nobody in (login CSRF)."""
    bind(console, "once")
    console.sign_out()
    back = through_the_provider(console)
    cookies = dict(console._client.cookies)
    console.sign_out()
    assert console.get(back).status_code == 401  # another browser: no cookie
    console._client.cookies.update(cookies)
    assert console.get(back).status_code == 303
    console.sign_out()
    console._client.cookies.update(cookies)
    assert console.get(back).status_code == 401  # again


def test_another_site_s_link_signs_nobody_in(console, client):
    """Where the provider still knows somebody, following it would need no press."""
    console.sign_out()
    answer = console.get("/oidc/start", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_an_answer_with_another_state_or_issuer_is_refused(console, user):
    bind(console, "state")
    for change in ("state", "iss"):
        console.sign_out()
        back = urlsplit(through_the_provider(console))
        fields = {key: values[0] for key, values in parse_qs(back.query).items()}
        fields[change] = "https://evil.example" if change == "iss" else "x" * 43
        answer = console.get(back.path, params=fields)
        assert answer.status_code == 401, change


def test_a_flood_of_answers_is_one_row_of_the_trail_a_minute(console, client):
    """Anybody may ask for this address: the trail must not be filled, nor anything buried in it."""
    console.sign_out()
    before = len(console.site.audit.page(action="oidc-sign-in", count=200))
    for _ in range(5):
        assert console.get("/oidc/callback?state=x&code=y").status_code == 401
    console.clock.seconds += 61
    assert console.get("/oidc/callback?state=x&code=y").status_code == 401
    assert len(console.site.audit.page(action="oidc-sign-in", count=200)) - before in (1, 2)


def test_a_provider_that_is_away_is_said_and_passwords_go_on(console, client):
    console.clock.seconds = time.time()
    kept = console.site.provider
    console.site.provider = Provider(
        "http://127.0.0.1:9", "huying", "s", kept._redirect_uri, console.clock.now
    )
    try:
        answer = console.get("/oidc/start")
        assert answer.status_code in (401, 503)
        assert "http://127.0.0.1:9" not in answer.text
    finally:
        console.site.provider = kept


# --- the ID token, by a provider that lies -------------------------------------------------------


class Lying(Provider):
    """Takes any code, and answers with claims and a key of the test's choice."""

    def __init__(self, claims, key, shown) -> None:
        super().__init__("https://login.example", "huying", "s", "http://x/cb", lambda: 1000.0)
        from joserfc.jwk import KeySet

        self._keys = KeySet([shown])
        self._fetched = 1000.0
        self._made = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)

    def _key_set(self, *, again):
        return self._keys

    def _token(self, flow, code):
        return self._made


KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
GOOD = {
    "iss": "https://login.example",
    "aud": "huying",
    "sub": "u-1",
    "exp": 1300,
    "iat": 990,
}


def ask(key=KEY, **changes):
    _, flow = Flows().begin(1000.0, "/")
    claims = {**GOOD, "nonce": flow.nonce, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return Lying(claims, key, KEY).subject(flow, "code", "")


def test_a_good_token_is_believed():
    """Without this, refusing everything would pass the tests below."""
    assert ask().subject == "u-1"
    assert ask(aud=["huying", "other"], azp="huying").subject == "u-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "other"},
        {"aud": ["huying", "other"]},
        {"aud": ["huying", "other"], "azp": "other"},
        {"exp": 900},
        {"exp": None},
        {"iat": 2000},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": ""},
        {"sub": None},
        {"sub": 5},
        {"sub": "x" * 300},
        {"key": OTHER},
    ],
    # A key's text is not the same in every process.
    ids=[
        *("iss", "aud", "no azp", "azp", "exp", "no exp", "iat", "nonce", "no nonce"),
        *("sub empty", "no sub", "sub a number", "sub too long", "key"),
    ],
)
def test_a_token_that_is_not_what_was_asked_for_is_refused(changes):
    with pytest.raises(HuyingError, match="id_token") as caught:
        ask(**changes)
    assert caught.value.code is Code.UNAUTHENTICATED


def test_flows_are_few_and_over_after_ten_minutes():
    flows = Flows()
    key, flow = flows.begin(0.0, "/")
    with pytest.raises(HuyingError, match="too long ago"):
        flows.end(key, flow.state, FLOW_SECONDS + 1)
    first, flow = flows.begin(0.0, "/")
    for _ in range(FLOWS_MAX):
        flows.begin(0.0, "/")
    with pytest.raises(HuyingError):
        flows.end(first, flow.state, 1.0)


@pytest.mark.parametrize(
    ("issuer", "fault"),
    [("http://login.example", "https"), ("https://login.example", None)],
)
def test_a_provider_is_spoken_to_over_tls_alone(tmp_path, issuer, fault):
    """Who sits between could sign in as anybody."""
    secret = tmp_path / "oidc.secret"
    secret.write_text("s")
    secret.chmod(0o600)
    section = OidcSection(issuer=issuer, client_id="huying")
    if fault is None:
        assert open_provider(section, secret, "https://desk.example", time.time) is not None
    else:
        with pytest.raises(HuyingError, match=fault):
            open_provider(section, secret, "https://desk.example", time.time)


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    secret = tmp_path / "oidc.secret"
    secret.write_text("very-secret")
    secret.chmod(0o644)
    section = OidcSection(issuer="https://login.example", client_id="huying")
    with pytest.raises(HuyingError, match="chmod 600") as caught:
        open_provider(section, secret, "https://desk.example", time.time)
    assert "very-secret" not in str(caught.value)
    missing = dataclasses.replace(section, client_id=None)
    with pytest.raises(HuyingError, match="client_id"):
        open_provider(missing, secret, "https://desk.example", time.time)
