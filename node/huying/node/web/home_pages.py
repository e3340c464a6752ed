"""The way in, the live stream, health, and the language switch."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Final

from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, RedirectResponse, Response

from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.app import LANGUAGE_COOKIE
from huying.node.web.calling.calling_reads import count_drafts
from huying.node.web.calls.call_filters import sees
from huying.node.web.live import TOPICS_MAX, Viewer
from huying.node.web.local import came_from
from huying.node.web.page import NOT_KEPT, Ask, Page
from huying.wire.v1 import calls_pb2

__all__ = ["PAGES", "keep_language"]

_PING_SECONDS: Final = 20
_LANGUAGE_SECONDS: Final = 365 * 86_400
_LOOK_SECONDS: Final = 30.0  # between two looks whether the session of a stream still lives
_TOPICS: Final = frozenset({"calls", "events", "orders", "provisions", "status", "link"})
_CALL: Final = re.compile(r"[0-9a-f]{32}")
_COUNT: Final = re.compile(r"[0-9]{1,15}")


async def home(ask: Ask) -> Response:
    """What waits for a principal's word; else the first page of the menu that is the person's."""
    menu = (await ask.site.frame(ask))["menu"]
    if not menu:
        return await ask.render("empty_home.html")
    if ask.may(Permission.CALLS_APPROVE) and await _drafts_wait(ask):
        return RedirectResponse(ask.url("drafts"), status_code=303)
    return RedirectResponse(ask.url(menu[0].name), status_code=303)


async def _drafts_wait(ask: Ask) -> bool:
    own, state = ask.node.code, calls_pb2.DRAFT_STATE_WAITING
    return await ask.node.read(lambda reader: count_drafts(reader, own, state)) > 0


async def live(ask: Ask) -> Response:
    """Server-sent events: which of the page's topics stirred."""
    if ask.site.live.is_full:
        return Response(status_code=503, headers={"Retry-After": "30"})
    asked = ask.request.query_params.getlist("topic")[:TOPICS_MAX]
    call = ask.query("call")
    calls = await _calls_seen(ask, {call, *(topic.partition(":")[2] for topic in asked)})
    call = call if call in calls else ""
    allowed = _TOPICS | {f"{of}:{one}" for one in calls for of in ("call", "presence")}
    topics = allowed.intersection([*asked, f"presence:{call}"])
    seen = ask.query("seen")
    known = int(seen) if _COUNT.fullmatch(seen) else -1
    viewer = Viewer(ask.person.name, ask.person.id, topics, call, known)
    return EventSourceResponse(
        _while_signed_in(ask, ask.site.live.stream(viewer)), ping=_PING_SECONDS
    )


async def _calls_seen(ask: Ask, asked: set[str]) -> frozenset[str]:
    """Of these ids those of calls that the person may see: nobody hears, or is seen at, others."""
    scope, ids = ask.scope, [one for one in asked if _CALL.fullmatch(one)]
    if not ids:
        return frozenset()

    def read(reader: Reader) -> frozenset[str]:
        found = (reader.get_call(bytes.fromhex(one)) for one in ids)
        return frozenset(one[0].call.hex() for one in found if one and sees(scope, one[0]))

    return await ask.node.read(read)


async def _while_signed_in(ask: Ask, events: AsyncGenerator[str]) -> AsyncIterator[str]:
    """What stirs, until the session ends: nobody stays at a call who signed out elsewhere."""
    token, looked = ask.request.cookies.get(ask.site.cookie, ""), ask.now()
    async with contextlib.aclosing(events):
        async for event in events:
            now = ask.now()
            if now - looked >= _LOOK_SECONDS:
                looked = now
                # A stream that is open is nobody at work.
                find = partial(ask.site.sessions.find, token, now, used=False)
                if await ask.site.on_thread(find) is None:
                    return
            yield event


async def keep_draft(ask: Ask) -> Response:
    """Keep what is typed in a form, by its draft_key; it is there when the form is opened again."""
    form = await ask.form()
    key = form.required("draft_key")
    fields = {name: value for name, value in form.values().items() if name not in NOT_KEPT}
    person, now = ask.person.id, ask.now()
    await ask.site.on_thread(lambda: ask.site.drafts.save(person, key, fields, now))
    return Response(status_code=204)


async def healthz(ask: Ask) -> Response:
    """Whether the console answers, and whether its node does."""
    freshness = await ask.node.state()
    state = "live" if freshness.is_up else "node_down"
    return JSONResponse({"state": state}, status_code=200 if freshness.is_up else 503)


async def language(ask: Ask) -> Response:
    """Chinese or English, kept in a cookie; and back to where the person was."""
    chosen = "en" if ask.query("to") == "en" else "zh"
    response = RedirectResponse(came_from(ask.request), status_code=303)
    keep_language(ask, response, chosen)
    return response


def keep_language(ask: Ask, response: Response, chosen: str) -> None:
    """Let the browser remember the language, for a year."""
    response.set_cookie(
        f"__Host-{LANGUAGE_COOKIE}" if ask.site.is_tls else LANGUAGE_COOKIE,
        chosen,
        max_age=_LANGUAGE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=ask.site.is_tls,
    )


PAGES: Final = (
    Page("/", "home", home, Permission.SIGNED_IN),
    Page("/live", "live", live, Permission.SIGNED_IN),
    Page("/drafts", "keep-draft", keep_draft, Permission.SIGNED_IN, ("POST",)),
    Page("/healthz", "healthz", healthz, None),
    Page("/language", "language", language, None),
)
