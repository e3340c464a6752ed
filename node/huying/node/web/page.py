"""A page as data, and what its handler is given.

A page module ends in a tuple `PAGES`; `huying.node.web.site` and `huying.hub.web.site` list the
modules. A page without a permission is public, and there are few: a test names them.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from huying.common.errors import HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Permission
from huying.node.web.access.scope import Scope
from huying.node.web.forms import Form, read_form

if TYPE_CHECKING:
    from huying.node.web.access.sessions import SignedIn
    from huying.node.web.app import Site
    from huying.node.web.node_link import NodeLink
    from huying.node.web.store import ConsoleStore

__all__ = ["NOTICES", "NOT_KEPT", "SECRETS", "Ask", "Handler", "Nav", "Page", "query_string"]

Handler = Callable[["Ask"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Nav:
    """A page's place in the menu: the lower the order, the further to the front."""

    zh: str
    en: str
    order: int
    topic: str = ""  # of what is counted in the menu's badge


@dataclass(frozen=True, slots=True)
class Page:
    """One address. `path` is Starlette's, e.g. `/calls/{call}`; `name` makes its URL."""

    path: str
    name: str
    handler: Handler
    needs: Permission | None
    methods: tuple[str, ...] = ("GET",)
    nav: Nav | None = None
    # A form that takes files may be larger than others.
    body_bytes_max: int = 256 * 1024
    also: Permission | None = None  # this permission opens the page as well as `needs`
    costly: bool = False  # e.g. an export: a person has few of them in a minute
    stays: bool = False  # for a screen that nobody touches: its own refreshing counts as use


# What of a form is never kept as a draft: its own machinery, and secrets.
SECRETS: Final = frozenset({"password", "password_again", "own_password", "code"})
NOT_KEPT: Final = frozenset({"request_id", "draft_key", "draft_page"}) | SECRETS
NOTICES: Final[dict[str, tuple[str, str]]] = {
    "saved": ("已保存", "Saved"),
    "sent": ("已写入本级数据流", "Written to this node's feed"),
    "proposed": (
        "已写入,正在送出;应答方收到才算数,收到后此处会显示",
        "Written, and on its way; it counts once the answering node has it, which shows here",
    ),
    "proposed-waits": (
        "已存本级,还没有送出;与上级接通后送出,应答方收到才算数",
        "Kept here, not sent yet: it goes up when the link is back, and counts once it is received",
    ),
    "drafted": (
        "已送主要负责人审签,审签后才向县里发出",
        "With the town principal now; it goes to the county once approved",
    ),
    "masked": (
        "已写入;文字里的电话或证件号已遮盖",
        "Written; a phone or ID number in the text was masked",
    ),
    "dropped": ("草稿已丢弃", "The draft is gone"),
    "files-lost": (
        "这一步已写入,但附件还没有发出;稍后点“重新发送”,不用再选文件",
        "The step is written, its files are not sent yet: press “send again”, nothing is to choose",
    ),
    "files-late": (
        "呼叫已写入,但附件没有跟上;请在下面补送",
        "The call is written, but its files did not follow: send them again below",
    ),
    "refused": ("已退回,起草人看得到理由", "Refused; whoever drafted it sees why"),
    "unchanged": ("没有变化", "Nothing changed"),
    "signed-out": ("已退出", "Signed out"),
    "again": ("时间已过,请重新登录", "Too late: sign in again"),
    "signed-out-everywhere": ("已在所有设备上退出", "Signed out on every device"),
    "password-changed": (
        "密码已更改,其他设备上的登录都已结束",
        "The password is changed; every other device is signed out",
    ),
    "factor-first": (
        "你的角色需要第二因素,请先设置",
        "Your role needs a second factor: set it up first",
    ),
    "password-first": (
        "一次性密码只用一次,请先换成自己的密码",
        "A one-time password is worth one time: choose your own first",
    ),
    "factor-dropped": ("第二因素已去掉,请重新登录", "The factor is gone; sign in again"),
    "bound": ("已绑定,请重新登录", "Bound; sign in again"),
}


@dataclass(slots=True)
class Ask:
    """One request, as a handler sees it."""

    request: Request
    site: Site
    page: Page
    language: str  # "zh" or "en"
    signed_in: SignedIn | None = None
    # What had stirred before anything of the page was read: `LiveHub.count`.
    seen: int = 0
    # A deed's row of the trail could not be written: the deed itself may be done.
    is_unsure: bool = False
    _form: Form | None = field(default=None, repr=False)
    _unreadable: HuyingError | None = field(default=None, repr=False)

    @property
    def person(self) -> Person:
        """Who asks. On a public page there may be nobody; see `signed_in`."""
        assert self.signed_in is not None, "the page is public"
        return self.signed_in.person

    @property
    def scope(self) -> Scope:
        """What the person may see."""
        return Scope(self.person)

    @property
    def node(self) -> NodeLink:
        """The node."""
        return self.site.node

    @property
    def console(self) -> ConsoleStore:
        """The console's own store; its methods block, so call them by `site.on_thread`."""
        return self.site.console

    @property
    def address(self) -> str:
        """The address of the browser, as far as it is known."""
        return self.request.client.host if self.request.client else ""

    def now(self) -> float:
        """Unix seconds."""
        return self.site.clock.now()

    def may(self, permission: Permission) -> bool:
        """Whether the person has it; nobody has any."""
        return self.signed_in is not None and permission in self.signed_in.person.permissions

    def may_have(self, page: Page) -> bool:
        """Whether the page is open to the person."""
        if page.needs is None:
            return True
        return self.may(page.needs) or (page.also is not None and self.may(page.also))

    def t(self, zh: str, en: str) -> str:
        """The text in the person's language."""
        return en if self.language == "en" else zh

    def path(self, name: str) -> str:
        """A part of the page's address, e.g. `call` of `/calls/{call}`."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the address, without blanks around it, at most 200 characters."""
        return self.request.query_params.get(name, default).strip()[:200]

    async def form(self) -> Form:
        """What was sent. Raises HuyingError(INVALID_ARGUMENT), the same each time it is asked."""
        if self._unreadable is not None:
            raise self._unreadable
        if self._form is None:
            try:
                self._form = await read_form(self.request)
            except HuyingError as error:  # what came has been read away by now
                self._unreadable = error
                raise
        return self._form

    async def audit(
        self, action: str, object_: str = "", *, outcome: str = "done", detail: str = ""
    ) -> None:
        """Write to the audit trail; never a personal value. Raises as the store."""
        actor = self.signed_in.person.login if self.signed_in else "-"
        try:
            await self.site.on_thread(
                lambda: self.site.audit.write(
                    self.now(), actor, action, object_, outcome=outcome, detail=detail
                )
            )
        except HuyingError:
            self.is_unsure = outcome == "done"
            raise

    def url(self, name: str, /, **params: Any) -> str:
        """The address of a page; what its path has no place for becomes the query."""
        return self.site.url(name, **params)

    def redirect(self, name: str, /, *, notice: str = "", **params: Any) -> Response:
        """Go to a page after a form was taken (303). `notice` is a key of NOTICES."""
        if notice:
            params["notice"] = notice
        return RedirectResponse(self.url(name, **params), status_code=303)

    async def render(
        self,
        template: str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        status: int = 200,
        **more: Any,
    ) -> Response:
        """A page from a template, with what every page shows around it."""
        shown = {**(values or {}), **more}
        frame = await self.site.frame(self)
        text = self.site.templates.get_template(template).render({**frame, **shown})
        return HTMLResponse(text, status_code=status)

    @staticmethod
    def draw_id() -> str:
        """A new request id, in hex: a form is taken once, however often it is sent."""
        return secrets.token_hex(RECORD_ID_BYTES)


def query_string(params: Mapping[str, Any]) -> str:
    """`?a=b`, without what is empty."""
    kept = [(key, str(value)) for key, value in params.items() if value not in ("", None, False)]
    return f"?{urlencode(kept)}" if kept else ""
