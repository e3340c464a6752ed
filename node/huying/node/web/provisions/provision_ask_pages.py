"""Asking for what stays at home, and looking at what was given.

A look is written down before the value is shown, and the value is on one page, once: it is in no
address, is not kept by the browser, and the same form sent again shows nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from starlette.responses import Response

from huying.common.codes import is_within, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.limits import INTEGER_MAX, PROVISION_SECONDS_MAX
from huying.node import department_keys
from huying.node.api.entries import view_entry
from huying.node.api.types import message_class, type_name
from huying.node.media.showing import data_uri
from huying.node.store.reader import Reader
from huying.node.store.replay import erased_of
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import load_call
from huying.node.web.forms import Form
from huying.node.web.page import Ask, Page
from huying.node.web.provisions.provision_reads import PROVISIONS, find_provision, may_open
from huying.node.web.provisions.provision_words import LASTS, field_word, record_word
from huying.wire.v1 import calls_pb2, provision_pb2

__all__ = ["PAGES", "askable_departments"]

_PURPOSE_CHARACTERS_MAX: Final = 200
_FORM_SECONDS_MAX: Final = 86_400.0  # a form that was opened longer ago counts from now on
_USED_MAX: Final = 10_000
_HOUR_MICROS: Final = 3_600_000_000
_PERMISSION: Final = Permission.PROVISIONS_ASK
_PICTURE: Final = "data_home"  # of evidence that stays home


class _Withheld:
    """An entry of another node, and what of it is withheld here."""

    def __init__(self, origin: str, index: int, kind: int, slots: list[tuple[str, ...]]) -> None:
        self.origin = origin
        self.index = index
        self.kind = type_name(kind)
        # Fields of one compartment are given together, or not at all.
        self.groups = slots

    @property
    def home(self) -> str:
        """Whose entry it is."""
        return parse_origin(self.origin).code


async def _withheld(ask: Ask, origin: str, index: str) -> _Withheld:
    """What may be asked for of an entry. Raises HuyingError(NOT_FOUND)."""
    nothing = HuyingError(Code.NOT_FOUND, "there is no such entry here, or it is not yours to see")
    if not (index.isascii() and index.isdigit() and len(index) < 16):
        raise nothing
    try:
        home = parse_origin(origin).code
    except HuyingError:
        raise nothing from None
    ask.scope.record(home)
    if home == ask.node.code or not is_within(home, ask.node.code):
        raise nothing
    at = int(index)

    def read(reader: Reader) -> _Withheld | None:
        feed = reader.feed(origin)
        if feed is None or at >= feed.size:
            return None
        (stored,) = reader.entries(feed.feed_id, at, at + 1)
        if stored.leaf is None:
            return None
        erased = erased_of(reader, origin).at(at)
        entry = view_entry(origin, stored.leaf, unpack_openings(stored.openings), erased)
        if entry.head is None:
            return None
        groups = [
            slot.fields for slot in entry.slots if slot.fields and not (slot.present or slot.erased)
        ]
        return _Withheld(origin, at, entry.head.type, groups)

    found = await ask.node.read(read)
    if found is None:
        raise nothing
    return found


async def ask_for(ask: Ask) -> Response:
    """The form of a request, and what it sends."""
    if ask.request.method == "GET":
        entry = await _withheld(ask, ask.query("origin"), ask.query("index"))
        wanted = {name for name in ask.query("fields").replace(",", " ").split() if name}
        return await _form(ask, entry, ask.query("call"), wanted, {})
    form = await ask.form()
    entry = await _withheld(ask, form.text("origin", 300), form.text("index", 20))
    call = form.text("call", 32)
    wanted = {name for group in form.many("fields") for name in group.split(",")}
    try:
        view = await _send(ask, entry, call, sorted(wanted), form)
    except HuyingError as error:
        if error.code is Code.NOT_FOUND and call:
            await load_call(ask, call)
        return await _form(ask, entry, call, wanted, form.values(), error)
    await ask.audit("provision-ask", view.record.hex())
    await ask.site.on_thread(lambda: ask.site.drafts.drop(ask.person.id, _draft_key(entry)))
    return ask.redirect("provision", record=view.record.hex(), notice="sent")


async def _send(
    ask: Ask, entry: _Withheld, call: str, wanted: list[str], form: Form
) -> provision_pb2.ProvisionView:
    form.id()
    offered = {name for group in entry.groups for name in group}
    if not wanted or not set(wanted) <= offered:
        raise HuyingError(Code.INVALID_ARGUMENT, "fields: tick what you need")
    department = form.required("department")
    if department not in await askable_departments(ask):
        raise HuyingError(Code.INVALID_ARGUMENT, "department: choose one of yours")
    if call:
        await load_call(ask, call)
    hours = form.number("hours", 1, int(PROVISION_SECONDS_MAX // 3600))
    # Counted from when the form was opened, so that a form sent twice is one request.
    opened, now = form.number("opened", 0, INTEGER_MAX), int(ask.now() * 1e6)
    if not 0 <= now - opened <= _FORM_SECONDS_MAX * 1e6:
        opened = now
    asked = provision_pb2.RequestProvisionRequest(
        entry=calls_pb2.EntryRef(origin=entry.origin, index=entry.index),
        fields=wanted,
        purpose=form.required("purpose", _PURPOSE_CHARACTERS_MAX),
        department=department,
        actor=ask.person.actor,
        expires_micros=opened + hours * _HOUR_MICROS,
        call=bytes.fromhex(call),
    )
    view: provision_pb2.ProvisionView = await ask.node.desk(PROVISIONS, "RequestProvision", asked)
    return view


async def askable_departments(ask: Ask) -> list[str]:
    """The departments that the person may ask for, of those whose key is here."""
    bound = ask.person.department
    config = ask.site.config

    def read(reader: Reader) -> list[str]:
        names = [one.name for _, one in reader.departments(ask.node.code) if not one.closed]
        here = [name for name in names if department_keys.key_file(config, name).exists()]
        return [name for name in here if name == bound or not bound]

    return await ask.node.read(read)


def _draft_key(entry: _Withheld) -> str:
    return f"provision:{entry.home}:{entry.index}"


async def _form(
    ask: Ask,
    entry: _Withheld,
    call: str,
    wanted: set[str],
    values: dict[str, str],
    error: HuyingError | None = None,
) -> Response:
    title = ""
    if call:
        content = (await load_call(ask, call)).view.content
        title = content.title or content.category
    names = await askable_departments(ask)
    groups = [
        (
            ",".join(group),
            ask.t("、", ", ").join(field_word(name, ask.language) for name in group),
            bool(wanted & set(group)),
        )
        for group in entry.groups
    ]
    return await ask.render(
        "provision_ask.html",
        {
            "entry": entry,
            "kind": record_word(entry.kind, ask.language),
            "groups": groups,
            "call": call,
            "call_title": title,
            "departments": [(name, name) for name in names],
            "lasts": [(hours, ask.t(zh, en)) for hours, zh, en in LASTS],
            "opened": values.get("opened") or int(ask.now() * 1e6),
            "values": values,
            "draft_key": _draft_key(entry),
            "error": error,
        },
        status=400 if error else 200,
    )


# --- looking ---------------------------------------------------------------------------------

# Forms that have shown their value; of this process, which is the only one that could show it.
_USED: Final[OrderedDict[bytes, None]] = OrderedDict()


def _use(request_id: bytes) -> bool:
    """Whether this form is sent for the first time."""
    if request_id in _USED:
        return False
    _USED[request_id] = None
    while len(_USED) > _USED_MAX:
        _USED.popitem(last=False)
    return True


async def open_given(ask: Ask) -> Response:
    """What was given, on this one page."""
    shown = await find_provision(ask, ask.path("record"))
    view = shown.view
    record = view.record.hex()
    form = await ask.form()
    if not may_open(ask, view):
        await ask.audit("provision-open", record, outcome="refused")
        raise HuyingError(Code.NOT_ENTITLED, "another department, or another person, asked")
    if not _use(form.id()):
        return ask.redirect("provision", record=record)
    # Written down here before the node is asked, as the node writes its receipt before it answers.
    await ask.audit("provision-open", record)
    asked = provision_pb2.OpenProvisionRequest(
        record=view.record, department=view.request.department, actor=ask.person.actor
    )
    answer = await ask.node.desk(PROVISIONS, "OpenProvision", asked)
    made = message_class(answer.record_type)
    message: Any = None if made is None else made.FromString(answer.message)
    given = [name for name in answer.fields if name != _PICTURE]
    pairs = [(field_word(name, ask.language), _text(message, name)) for name in given]
    picture = data_uri(message.data_home) if _PICTURE in answer.fields else None
    return await ask.render(
        "provision_value.html",
        {"one": shown, "view": view, "pairs": pairs, "picture": picture},
    )


def _text(message: Any, name: str) -> str:
    value = getattr(message, name, "")
    return value.hex() if isinstance(value, bytes) else str(value)


PAGES: Final = (
    Page("/provisions/ask", "provision-ask", ask_for, _PERMISSION, ("GET", "POST")),
    Page("/provisions/{record}/open", "provision-open", open_given, _PERMISSION, ("POST",)),
)
