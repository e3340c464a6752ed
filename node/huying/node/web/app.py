"""The console as one ASGI application: pages, static files, the live stream, and what guards them.

Every request passes the guard (`huying.node.web.guard`), gets its person from the session cookie,
and reaches the page's handler only where the person has the page's permission. A refusal by the
node becomes a page that says so; nothing else of an exception is ever shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from huying.common.codes import Level
from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.ports import Clock
from huying.node import logs
from huying.node.background import end_task, keep_up
from huying.node.config import Config, split_address
from huying.node.version import own_version
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.audit import Audit
from huying.node.web.access.audit_told import Told
from huying.node.web.access.oidc import Flows, open_provider
from huying.node.web.access.pace import Pace
from huying.node.web.access.password_rules import place_words
from huying.node.web.access.people import must_have_factor
from huying.node.web.access.roles import role_names
from huying.node.web.access.scope import OutOfScopeError
from huying.node.web.access.security_keys import Challenges
from huying.node.web.access.sessions import Sessions, SignedIn
from huying.node.web.access.throttle import Throttle
from huying.node.web.addresses import body_limit, page_above
from huying.node.web.compress import Compress
from huying.node.web.drafts import Drafts
from huying.node.web.guard import Guard, TooLargeError
from huying.node.web.kept_form import kept_form
from huying.node.web.live import LiveHub
from huying.node.web.local import asked_path, came_from, local_path
from huying.node.web.node_link import NodeLink
from huying.node.web.page import NOT_KEPT, NOTICES, Ask, Page, query_string
from huying.node.web.render import TEMPLATES, environment
from huying.node.web.shelf import Shelf
from huying.node.web.static_files import StaticFolder
from huying.node.web.store import ConsoleStore
from huying.node.web.turns import Turns
from huying.node.web.upkeep import keep_tidy
from huying.node.web.uploads import Uploads
from huying.node.web.views import SavedViews
from huying.wire.v1 import admin_pb2

__all__ = ["LANGUAGE_COOKIE", "STATIC", "Site", "build", "cookie_name", "error_status", "origin_of"]

T = TypeVar("T")
STATIC: Final = Path(__file__).with_name("static")
LANGUAGE_COOKIE: Final = "huying-language"  # over TLS with the prefix __Host-
_STATUSES: Final[Mapping[Code, int]] = {
    Code.NOT_FOUND: 404,
    Code.INVALID_ARGUMENT: 400,
    Code.WRONG_STAGE: 409,
    Code.NOT_A_PARTY: 403,
    Code.NOT_ENTITLED: 403,
    Code.UNREACHABLE: 503,
    Code.BUSY: 503,
    Code.DRAINING: 503,
    Code.DISK_FULL: 507,
}
# Of any other code, by what its gRPC status says.
_BY_GRPC: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 413,
    "UNAVAILABLE": 503,
}
_TIERS: Final[Mapping[Level, tuple[str, str]]] = {
    Level.PROVINCE: ("省", "province"),
    Level.PREFECTURE: ("市", "prefecture"),
    Level.COUNTY: ("县", "county"),
    Level.TOWN: ("乡镇", "town"),
    Level.VILLAGE: ("村", "village"),
}


def origin_of(config: Config) -> str:
    """The console's origin, as browsers send it. Raises HuyingError(CONFIG) where it has none."""
    if config.console.origin is not None:
        return config.console.origin
    if config.console.listen is None:
        raise HuyingError(Code.CONFIG, "console.listen: absent; name an address to serve pages at")
    host, port = split_address(config.console.listen)
    local = host in ("localhost", "::1") or host.startswith("127.")
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if local and config.console.certificate is None else 'https'}://{shown}:{port}"


def cookie_name(code: str, *, is_tls: bool) -> str:
    """The session's cookie. Cookies know no ports, so nodes on one machine need a name each."""
    return f"__Host-huying-{code}" if is_tls else f"huying-{code}"


class Site:
    """What all requests share."""

    def __init__(
        self,
        config: Config,
        *,
        pages: Sequence[Page],
        clock: Clock,
        node: NodeLink,
        console: ConsoleStore,
        template_folders: Sequence[Path] = (),
    ) -> None:
        self.config = config
        self.clock = clock
        self.node = node
        self.console = console
        self.origin = origin_of(config)
        self.is_tls = self.origin.startswith("https://")
        self.cookie = cookie_name(config.node.code, is_tls=self.is_tls)
        self.accounts = Accounts(console, words=place_words(config.node))
        self.audit = Audit(console, Told(console))
        self.drafts = Drafts(console)
        self.views = SavedViews(console)
        self.throttle = Throttle(console)
        self.sessions = Sessions(
            console,
            idle_seconds=config.console.idle_minutes * 60.0,
            absolute_seconds=config.console.session_minutes * 60.0,
        )
        self.uploads = Uploads(console)
        self.live = LiveHub(node)
        self.shelf = Shelf(clock)
        self.last_figures: admin_pb2.ShowFiguresResponse | None = None  # that the node gave
        self.flows = Flows()
        self.challenges = Challenges()
        self.pace = Pace()
        self.turns = Turns()
        # What a tier's own pages forget in time; each blocks, and is given unix seconds.
        self.forgetting: list[Callable[[float], None]] = []
        self.provider = open_provider(
            config.oidc, config.path(config.oidc.client_secret_file), self.origin, clock.now
        )
        self.pages = {page.name: page for page in pages}
        assert len(self.pages) == len(pages), "each page has a name of its own"
        self.templates: Environment = environment((*template_folders, TEMPLATES))
        self._menu = sorted((p for p in pages if p.nav), key=lambda p: p.nav.order if p.nav else 0)

    def url(self, name: str, /, **params: Any) -> str:
        """The address of a page; what its path has no place for becomes the query.

        Raises KeyError for a name that no page has.
        """
        path = self.pages[name].path
        rest = dict(params)
        for key in params:
            place = f"{{{key}}}"
            if place in path:
                path = path.replace(place, quote(str(rest.pop(key)), safe=""))
        return path + query_string(rest)

    def set_session(self, response: Response, token: str) -> None:
        """Give the browser its session; for no script, and for no other site's forms."""
        response.set_cookie(
            self.cookie, token, path="/", secure=self.is_tls, httponly=True, samesite="lax"
        )

    async def on_thread(self, work: Callable[[], T]) -> T:
        """Something that blocks, on a thread."""
        return await anyio.to_thread.run_sync(work)

    async def frame(self, ask: Ask) -> dict[str, Any]:
        """What the base template shows around every page."""
        freshness = await self.node.state()
        menu = [page for page in self._menu if ask.may_have(page)]
        zh, en = _TIERS[self.node.level]
        told = ask.query("notice")
        if told == "proposed" and freshness.is_cut_off:
            told = "proposed-waits"
        notice = NOTICES.get(told)
        # Whoever has given half of what proves them is nobody yet.
        known = ask.signed_in is not None and not ask.signed_in.pending_factor
        person = ask.person if known else None
        return {
            "ask": ask,
            "t": ask.t,
            "url": self.url,
            "lang": ask.language,
            "now": self.clock.now(),
            "offset_minutes": await self.node.offset_minutes(),
            "names": await self.node.names(),
            "person": person,
            "roles": [ask.t(*role_names(role)) for role in person.roles] if person else [],
            "node": self.node,
            "tier": ask.t(zh, en),
            "freshness": freshness,
            "menu": [] if person is None or person.must_change else menu,
            "here": ask.page.name,
            "notice": ask.t(*notice) if notice else "",
            "request_id": ask.draw_id,
            "version": own_version(),
            "query": dict(ask.request.query_params),
        }


def build(site: Site, static_folders: Mapping[str, Path] | None = None) -> ASGIApp:
    """The application. `static_folders` are served below /static by their names."""
    routes: list[Route | Mount] = [
        Route(page.path, partial(_answer, site, page), methods=list(page.methods), name=page.name)
        for page in site.pages.values()
    ]
    for name, folder in {"node": STATIC, **(static_folders or {})}.items():
        routes.append(Mount(f"/static/{name}", StaticFolder(directory=folder)))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        site.live.start()
        tidying = asyncio.create_task(keep_up("upkeep", partial(keep_tidy, site)))
        try:
            yield
        finally:
            await end_task(tidying)
            await site.live.stop()
            await site.node.close()

    refusing: Any = partial(_no_page, site)  # its bound argument hides it from the stubs
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: refusing})
    limits = {page.path: page.body_bytes_max for page in site.pages.values()}
    packed = Compress(app, is_tls=site.is_tls)
    return Guard(packed, site.origin, partial(body_limit, limits))


async def _answer(site: Site, page: Page, request: Request) -> Response:
    """The page's handler, for who may; else where to sign in, or a refusal."""
    ask = Ask(request, site, page, language=_language(request, None), seen=site.live.count)
    try:
        token = request.cookies.get(site.cookie, "")
        if token:
            # An open tab that keeps itself fresh is nobody at work.
            by_itself = page.name == "live" or "x-live" in request.headers
            used = page.stays or not by_itself
            ask.signed_in = await site.on_thread(
                lambda: site.sessions.find(token, site.clock.now(), used=used)
            )
        ask.language = _language(request, ask.signed_in)
        refused = await _refuse(ask, token) or await _paced(ask)
        if refused is not None:
            return refused
        if request.method == "POST" and page.needs is not None:
            # Before the deed: what can't be written to the trail must not be done either.
            await site.on_thread(site.console.check_room)
        return await page.handler(ask)
    except HuyingError as error:
        if isinstance(error, OutOfScopeError):
            # A trail that can't be written makes no other answer of a refusal.
            with contextlib.suppress(HuyingError):
                await ask.audit("out-of-scope", page.name, outcome="refused")
        return await error_page(ask, error)
    except TooLargeError as error:
        return PlainTextResponse(str(error), status_code=413)
    except ClientDisconnect:  # gone, or too slow: no defect of a page
        return PlainTextResponse("没有收全,请重试 · not all of it came: try again", status_code=408)
    except HTTPException:
        raise
    except Exception as error:  # noqa: BLE001  # a page's defect ends the page alone
        return await _defect(ask, error)
    finally:
        if ask._form is not None:  # noqa: SLF001  # the two are one thing in two modules
            await ask._form.close()  # noqa: SLF001


async def _refuse(ask: Ask, token: str) -> Response | None:
    """None where the person may have the page."""
    page, signed_in = ask.page, ask.signed_in
    if page.needs is None:
        return None
    if signed_in is None:
        return await _sign_in_first(ask, token)
    if signed_in.pending_factor and page.name not in _BEFORE_FACTOR:
        return RedirectResponse(ask.url("second-factor", next=_back(ask)), status_code=303)
    if signed_in.person.must_change and page.name not in _BEFORE_CHANGE:
        return ask.redirect("change-password", notice="password-first", next=_back(ask))
    policy = ask.site.config.console.second_factor
    if (
        must_have_factor(policy, signed_in.person)
        and not signed_in.person.has_second_factor
        and page.name not in _BEFORE_FACTOR_IS_SET
    ):
        return ask.redirect("factor", notice="factor-first", next=_back(ask))
    if not ask.may_have(page):
        await ask.audit("forbidden", page.name, outcome="refused")
        return await ask.render("forbidden.html", status=403)
    return None


async def _paced(ask: Ask) -> Response | None:
    """None where the person did not ask for too many pages; else a page that says when to go on."""
    if ask.signed_in is None or ask.page.name in _UNPACED:
        return None
    person, now, pace = ask.person, ask.now(), ask.site.pace
    found = pace.admit(person.id, now)
    if found.wait_seconds == 0 and ask.page.costly:
        found = pace.admit(person.id, now, is_costly=True)
    if found.wait_seconds == 0:
        return None
    if found.is_news:
        await ask.audit("too-many", ask.page.name, outcome="refused")
    seconds = math.ceil(found.wait_seconds)
    error = HuyingError(Code.BUSY, f"too many pages in a minute: go on in {seconds} s")
    response = await error_page(ask, error)
    response.status_code = 429
    response.headers["Retry-After"] = str(seconds)
    return response


# A stream counts once however long it is open, and nobody is kept from going.
_UNPACED: Final = frozenset({"live", "sign-out", "session-end", "sign-out-everywhere"})
_BEFORE_FACTOR: Final = frozenset({"second-factor", "second-factor-check", "sign-out"})
_BEFORE_CHANGE: Final = _BEFORE_FACTOR | {"change-password", "change-password-save", "live"}

_BEFORE_FACTOR_IS_SET: Final = _BEFORE_CHANGE | {
    *("factor", "factor-confirm", "key-add", "account-language"),
    *("reauthenticate", "reauthenticate-check"),
}


def _back(ask: Ask) -> str:
    """Where to go on afterwards: the page that was asked for, if it is one to be looked at."""
    return asked_path(ask.request) if ask.request.method == "GET" else "/"


async def _sign_in_first(ask: Ask, token: str) -> Response:
    """To the sign-in page, and back afterwards; what was typed is kept as the person's draft."""
    request = ask.request
    if request.method in ("GET", "HEAD"):
        return RedirectResponse(ask.url("sign-in", next=asked_path(request)), status_code=303)
    kept, back = False, came_from(request)
    who = None
    if token:
        who = await ask.site.on_thread(
            lambda: ask.site.sessions.last_person(token, ask.site.clock.now())
        )
    # Of nobody's form not a byte is read: it could be 60 MiB of files, as often as one likes.
    if who:
        form = await ask.form()
        key, back = form.text("draft_key", 200), form.text("draft_page", 500)
        if key:
            fields = {k: v for k, v in form.values().items() if k not in NOT_KEPT}
            with contextlib.suppress(HuyingError):  # too long, or there is no room
                await ask.site.on_thread(
                    lambda: ask.site.drafts.save(who, key, fields, ask.site.clock.now())
                )
                kept = True
    given_back = None if kept or not who else await kept_form(ask, is_known=True)
    shown = {"is_draft": kept, "kept": given_back, "next": local_path(back)}
    return await ask.render("expired.html", shown, status=401)


def _language(request: Request, signed_in: SignedIn | None) -> str:
    plain = request.cookies.get(LANGUAGE_COOKIE, "")
    chosen = request.cookies.get(f"__Host-{LANGUAGE_COOKIE}", plain)
    if chosen in ("zh", "en"):
        return chosen
    return signed_in.person.language if signed_in else "zh"


async def error_page(ask: Ask, error: HuyingError) -> Response:
    """A refusal as a page: what to do, and the detail, in the person's language."""
    return await ask.render(
        "error.html",
        {"error": error, "kept": await kept_form(ask)},
        status=error_status(error.code),
    )


def error_status(code: Code) -> int:
    """The HTTP status of a refusal."""
    return _STATUSES.get(code) or _BY_GRPC.get(ADVICE[code].grpc_status, 500)


async def _no_page(site: Site, request: Request, error: HTTPException) -> Response:
    if error.status_code == 405 and request.method == "GET":
        above = page_above(site.pages.values(), request.url.path)
        if above:
            return RedirectResponse(above, status_code=303)
    page = Page(request.url.path, "none", _nothing, None)
    ask = Ask(request, site, page, language=_language(request, None))
    return await ask.render(
        "no_page.html",
        {"status_code": error.status_code, "kept": None},
        status=error.status_code,
    )


async def _nothing(_ask: Ask) -> Response:
    raise AssertionError("no page is never asked for")


async def _defect(ask: Ask, error: Exception) -> Response:
    # Its text may hold what somebody typed, so just its kind and place are logged.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logs.say(
        "console_defect",
        page=ask.page.name,
        kind=type(error).__name__,
        place=f"{Path(frame.filename).name}:{frame.lineno}",
    )
    kept = None
    with contextlib.suppress(ClientDisconnect):
        kept = await kept_form(ask)
    return await ask.render("no_page.html", {"status_code": 500, "kept": kept}, status=500)
