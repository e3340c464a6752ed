"""Entries in quarantine: listed, looked into, judged again, or skipped with a reason.

What an entry holds may be a person's data, and nobody knows whose: its head is shown to whoever
may look, its other bytes to an operator who asks for them, and the trail says so.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, RETRIED_ENTRIES_MAX
from huying.node.api.types import kind_name
from huying.node.quarantine_view import advice_of, fault_name, hash_of, slots_of, type_of
from huying.node.store.quarantine_queries import Quarantined
from huying.node.web.access.roles import Permission
from huying.node.web.operations.operations_source import origin_at, place_of, sees_feed
from huying.node.web.page import Ask, Page
from huying.wire.v1 import admin_pb2

__all__ = ["PAGES"]

_ROWS: Final = 50
_SHOWS: Final = {"waiting": True, "skipped": False, "all": None}
_INDEX_MAX: Final = 2**48


# --- the list ---------------------------------------------------------------------------------


async def show_list(ask: Ask) -> Response:
    """What waits, by feed; what was skipped, and by whom, on request."""
    show = ask.query("show", "waiting")
    show = show if show in _SHOWS else "waiting"
    label = ask.query("feed")
    token = ask.query("page").encode()
    counts = await ask.node.read(lambda reader: reader.quarantine_counts())
    seen = {origin: count for origin, count in counts.items() if sees_feed(ask, origin)}
    chosen = next((origin for origin in seen if _label(origin) == label), "")
    rows: tuple[Quarantined, ...] = ()
    next_token = b""
    if chosen or not label:
        found = await ask.node.read(
            lambda reader: reader.list_quarantined(
                chosen, waiting=_SHOWS[show], token=token, limit=_ROWS
            )
        )
        rows, next_token = found.rows, found.next_token
    rows = tuple(row for row in rows if sees_feed(ask, row.origin))
    more = {"show": show, "feed": label, "page": next_token.decode()}
    return await ask.render(
        "quarantine.html",
        rows=rows,
        counts=sorted(seen.items()),
        show=show,
        chosen=chosen,
        chosen_label=label,
        label_of=_label,
        code_of=lambda origin: parse_origin(origin).code,
        place_of=place_of,
        fault_name=fault_name,
        advice_of=advice_of,
        type_of=type_of,
        waiting=[row.index for row in rows if row.skip is None],
        more=ask.url("quarantine", **more) if next_token else "",
        told=_told(ask),
    )


def _label(origin: str) -> str:
    parsed = parse_origin(origin)
    return f"{parsed.code}/e{parsed.epoch}"


def _told(ask: Ask) -> tuple[int, int, int] | None:
    """What a retry came to: applied, refused, bare; from the address, so a reload says it again."""
    parts = ask.query("told").split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
        return None
    applied, refused, bare = (int(part) for part in parts)
    return applied, refused, bare


# --- one entry --------------------------------------------------------------------------------


async def show_entry(ask: Ask) -> Response:
    """Why it is there, what is to be done, its head, and the size of what else it holds."""
    return await _entry(ask)


async def _entry(
    ask: Ask, error: HuyingError | None = None, typed: dict[str, str] | None = None
) -> Response:
    origin = await origin_at(ask)
    found = await _find(ask, origin)
    with_bytes = ask.query("bytes") == "1" and ask.may(Permission.OPERATIONS)
    if with_bytes:
        await ask.audit("quarantine-bytes-shown", _object(origin, found.index))
    return await ask.render(
        "quarantine_entry.html",
        status=200 if error is None else 400,
        found=found,
        label=_label(origin),
        code=parse_origin(origin).code,
        place=place_of(origin),
        slots=slots_of(found),
        leaf_hash=hash_of(found).hex(),
        type=type_of(found),
        kind=kind_name(found.head.kind) if found.entry.openings else "",
        with_bytes=with_bytes,
        fault_name=fault_name,
        advice_of=advice_of,
        may_act=ask.may(Permission.OPERATIONS),
        error=error,
        typed=typed or {},
        told=_told(ask),
    )


async def _find(ask: Ask, origin: str) -> Quarantined:
    """Raises HuyingError(NOT_FOUND)."""
    text = ask.path("index")
    index = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else _INDEX_MAX
    found = await ask.node.read(lambda reader: reader.find_quarantined(origin, index))
    if found is None:
        raise HuyingError(Code.NOT_FOUND, "no such entry in quarantine; it may have been applied")
    return found


def _object(origin: str, index: int) -> str:
    return f"{_label(origin)}#{index}"


# --- deeds ------------------------------------------------------------------------------------


async def retry_entry(ask: Ask) -> Response:
    """Judge it again. What passes is in quarantine no more; a second click finds nothing to do."""
    origin = await origin_at(ask)
    try:
        found = await _find(ask, origin)
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return ask.redirect("quarantine", notice="unchanged", feed=_label(origin))
    try:
        (one,) = (await _retry(ask, origin, [found.index])).entries
    except HuyingError as error:
        await _note(ask, "quarantine-retry", origin, found.index, error.code.name, failed=True)
        return await _entry(ask, error)
    await _note(ask, "quarantine-retry", origin, found.index, _verdict(one))
    told = ".".join(str(int(one.state == state)) for state in ("applied", "refused", "bare"))
    if one.state == "applied":
        return ask.redirect("quarantine", feed=_label(origin), told=told)
    place = place_of(origin)
    return ask.redirect("quarantine-entry", **place, index=found.index, told=told)


async def retry_feed(ask: Ask) -> Response:
    """Judge again those of a feed that the page listed, as after an upgrade."""
    origin = await origin_at(ask)
    form = await ask.form()
    texts = form.many("index")[:RETRIED_ENTRIES_MAX]
    indexes = [
        int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 16
    ]

    counts: dict[str, int] = dict.fromkeys(("applied", "refused", "bare"), 0)
    for one in (await _still_there(ask, origin, indexes)).entries:
        counts[one.state] += 1
        await _note(ask, "quarantine-retry", origin, one.index, _verdict(one))
    told = ".".join(map(str, counts.values()))
    return ask.redirect("quarantine", feed=_label(origin), told=told)


async def _still_there(
    ask: Ask, origin: str, indexes: list[int]
) -> admin_pb2.RetryQuarantinedResponse:
    """The retry of those entries that are still in quarantine: a form may be sent twice."""
    there = await ask.node.read(
        lambda reader: [
            index for index in indexes if reader.find_quarantined(origin, index) is not None
        ]
    )
    if not there:
        return admin_pb2.RetryQuarantinedResponse()
    return await _retry(ask, origin, there)


async def _retry(ask: Ask, origin: str, indexes: list[int]) -> admin_pb2.RetryQuarantinedResponse:
    request = admin_pb2.RetryQuarantinedRequest(origin=origin, indexes=indexes)
    found: admin_pb2.RetryQuarantinedResponse = await ask.node.administer(
        "RetryQuarantined", request
    )
    return found


async def skip_entry(ask: Ask) -> Response:
    """Acknowledge it, with a reason for whoever comes after."""
    origin = await origin_at(ask)
    found = await _find(ask, origin)
    form = await ask.form()
    typed = form.values()
    try:
        request = admin_pb2.SkipQuarantinedRequest(
            origin=origin,
            index=found.index,
            reason=form.required("reason", NAME_CHARACTERS_MAX),
            actor=ask.person.actor,
        )
        done = await ask.node.administer("SkipQuarantined", request)
    except HuyingError as error:
        await _note(ask, "quarantine-skip", origin, found.index, error.code.name, failed=True)
        return await _entry(ask, error, typed)
    await _note(ask, "quarantine-skip", origin, found.index, done.state)
    if key := form.text("draft_key"):
        person = ask.person.id
        await ask.site.on_thread(lambda: ask.site.drafts.drop(person, key))
    query = urlencode({"feed": _label(origin), "notice": "saved"})
    return RedirectResponse(f"{ask.url('quarantine')}?{query}", status_code=303)


def _verdict(one: admin_pb2.RetriedEntry) -> str:
    """What a retry came to, for the trail."""
    return " ".join((one.state, *(fault_name(fault.code) for fault in one.faults)))


async def _note(
    ask: Ask, action: str, origin: str, index: int, detail: str, *, failed: bool = False
) -> None:
    outcome = "refused" if failed else "done"
    await ask.audit(action, _object(origin, index), outcome=outcome, detail=detail)


_ENTRY: Final = "/operations/quarantine/{code}/{epoch}/{index}"

PAGES: Final = (
    Page("/operations/quarantine", "quarantine", show_list, Permission.OPERATIONS_READ),
    Page(_ENTRY, "quarantine-entry", show_entry, Permission.OPERATIONS_READ),
    Page(f"{_ENTRY}/retry", "quarantine-retry", retry_entry, Permission.OPERATIONS, ("POST",)),
    Page(f"{_ENTRY}/skip", "quarantine-skip", skip_entry, Permission.OPERATIONS, ("POST",)),
    Page(
        "/operations/quarantine/{code}/{epoch}",
        "quarantine-retry-feed",
        retry_feed,
        Permission.OPERATIONS,
        ("POST",),
    ),
)
