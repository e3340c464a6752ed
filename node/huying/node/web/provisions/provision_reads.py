"""A provision as a page has it: read from the node's database, within what the person may see.

At the home those see it who decide; where it was asked, those of the department that asked. Of whom
it is, the home alone knows.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.node.api.types import message_class, type_name
from huying.node.desk import topic
from huying.node.desk.provision_views import Seen, provision_view, subject_view
from huying.node.store.provision_queries import Provision
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.page import Ask
from huying.node.web.provisions.provision_words import field_word, record_word, subject_word
from huying.node.web.render import local_time
from huying.wire.v1 import calls_pb2, provision_pb2

__all__ = [
    "PROVISIONS",
    "Shown",
    "find_provision",
    "list_shown",
    "may_open",
    "refresh_heard",
    "sees_provision",
]

PROVISIONS: Final = topic("Provisions")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_ROWS: Final = 30
_HOURS_SAID: Final = 48  # from then on days are said
_PAGES_MAX: Final = 10  # read for one page of a person who sees but a part


@dataclass(frozen=True, slots=True)
class Shown:
    """One provision, and the words around it."""

    view: provision_pb2.ProvisionView
    is_home: bool  # this node decides it
    fields: tuple[str, ...]  # in words
    kind: str  # of the record, in words
    subject: tuple[tuple[str, str], ...]  # at the home: label and value
    call_title: str  # "": no call, or none that is known here
    until_micros: int
    until: str  # a local time with its date
    lasts: str  # from the asking to then, in words
    looks: int


def find_id(text: str) -> bytes:
    """The id of a request. Raises HuyingError(NOT_FOUND)."""
    if not _ID.fullmatch(text):
        raise _nothing()
    return bytes.fromhex(text)


def _nothing() -> HuyingError:
    return HuyingError(Code.NOT_FOUND, "there is no such request here, or it is not yours to see")


async def find_provision(ask: Ask, hex_id: str) -> Shown:
    """One that the person may see. Raises HuyingError(NOT_FOUND)."""
    record = find_id(hex_id)

    def read(reader: Reader) -> tuple[Provision, provision_pb2.ProvisionView, str] | None:
        found = reader.get_provision(record)
        if found is None or not sees_provision(ask, reader, found):
            return None
        return found, _view(ask, reader, found), _call_title(reader, found)

    answer = await ask.node.read(read)
    if answer is None:
        raise _nothing()
    return await _shown(ask, answer[1], answer[2])


async def list_shown(ask: Ask, *, waiting: bool, page_token: bytes) -> tuple[list[Shown], bytes]:
    """Those that the person may see, newest first, and where to go on."""

    def read(reader: Reader) -> tuple[list[tuple[Any, str]], bytes]:
        made: list[tuple[Any, str]] = []
        token = page_token
        for _ in range(_PAGES_MAX):
            page = reader.list_provisions(
                ask.node.code, waiting=waiting, limit=_ROWS, page_token=token
            )
            made += [
                (_view(ask, reader, one), _call_title(reader, one))
                for one in page.rows
                if sees_provision(ask, reader, one)
            ]
            token = page.next_token
            if not token or len(made) >= _ROWS:
                break
        return made, token

    rows, token = await ask.node.read(read)
    return [await _shown(ask, view, title) for view, title in rows], token


async def refresh_heard(ask: Ask, shown: Shown) -> None:
    """Fill in when the home was last heard of, where the node answers."""
    if shown.is_home:
        return
    asked = provision_pb2.ShowProvisionRequest(record=shown.view.record)
    with contextlib.suppress(HuyingError):
        view = await ask.node.desk(PROVISIONS, "ShowProvision", asked)
        shown.view.home_heard_micros = view.home_heard_micros


def may_open(ask: Ask, view: provision_pb2.ProvisionView) -> bool:
    """Whether the person may look at what was given: of the department that asked, or who asked."""
    if not ask.may(Permission.PROVISIONS_ASK) or view.asker != ask.node.code:
        return False
    person = ask.person
    return view.request.department == person.department or (
        not ask.scope.department and view.request.actor == person.actor
    )


def sees_provision(ask: Ask, reader: Reader, found: Provision) -> bool:
    """Whether a request is the person's to see."""
    own, scope = ask.node.code, ask.scope
    if found.home == own and ask.may(Permission.PROVISIONS_DECIDE):
        return scope.sees_record(own, _grid(reader, found))
    if found.asker == own and ask.may(Permission.PROVISIONS_ASK):
        if scope.department and scope.department != found.request.department:
            return False
        return scope.sees_record(found.home)
    return False


def _grid(reader: Reader, found: Provision) -> str:
    """The grid of the record that is asked about, "" where it has none or is not here."""
    type_ = found.request.record_type
    made = message_class(type_)
    try:
        row = reader.get_record(type_, found.home, found.request.record)
    except HuyingError:
        return ""
    if row is None or made is None:
        return ""
    return str(getattr(made.FromString(row.message), "grid", ""))


def _view(ask: Ask, reader: Reader, found: Provision) -> provision_pb2.ProvisionView:
    seen = Seen(ask.node.code, int(ask.now() * 1e6))
    view = provision_view(found, seen)
    if found.home == seen.own:
        subject_view(reader, found, seen, view)
    return view


def _call_title(reader: Reader, found: Provision) -> str:
    if not found.request.call:
        return ""
    call = reader.get_call(found.request.call, found.request.caller)
    if call is None:
        return ""
    content = calls_pb2.Call.FromString(call[0].message)
    return content.title or content.category


async def _shown(ask: Ask, view: provision_pb2.ProvisionView, call_title: str) -> Shown:
    until = view.request.expires_micros
    if view.HasField("decision") and view.decision.expires_micros:
        until = min(until, view.decision.expires_micros)
    offset = await ask.node.offset_minutes()
    language = ask.language
    return Shown(
        view=view,
        is_home=view.home == ask.node.code,
        fields=tuple(field_word(name, language) for name in view.request.fields),
        kind=record_word(type_name(view.request.record_type), language),
        subject=await _subject(ask, view),
        call_title=call_title,
        until_micros=until,
        until=_until(ask, until, offset),
        lasts=_lasts(ask, until - view.asked_micros),
        looks=sum(one.use == provision_pb2.PROVISION_USE_SHOWN for one in view.uses),
    )


async def _subject(ask: Ask, view: provision_pb2.ProvisionView) -> tuple[tuple[str, str], ...]:
    """Whose it is: label and value, a grid by its name."""
    if not view.subject:
        return ()
    grids = (await open_book(ask.node)).grid_names
    return tuple(
        (
            subject_word(one.name, ask.language),
            grids.get(one.text, one.text) if one.name == "grid" else one.text,
        )
        for one in view.subject
    )


def _lasts(ask: Ask, micros: int) -> str:
    """A length of time as people say it: hours up to two days, then days."""
    hours = max(1, round(micros / 3_600_000_000))
    if hours < _HOURS_SAID:
        return ask.t(f"{hours} 小时", f"{hours} hours")
    days = round(hours / 24)
    return ask.t(f"{days} 天", f"{days} days")


def _until(ask: Ask, micros: int, offset_minutes: int) -> str:
    """A local time as people say it: 10月10日 09:00, with its year where that is another one."""
    try:
        at = local_time(micros, offset_minutes)
        now = local_time(int(ask.now() * 1e6), offset_minutes)
    except (OverflowError, ValueError):
        return "?"
    year = "" if at.year == now.year else ask.t(f"{at.year}年", f"{at.year}-")
    day = ask.t(f"{at.month}月{at.day}日", f"{at.month:02}-{at.day:02}")
    return f"{year}{day} {at:%H:%M}"
