"""What is asked of duty lists: entering a version, reading those held, suggestions for a dispatch.

A version is one append: its items and its header stand in one commit, or none of them do. Versions
count up from 1 at each node, and ids follow from the version, so nothing is ever overwritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from huying.common.codes import ancestors
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    COMMIT_ENTRIES_MAX,
    LIST_ENTRIES_MAX,
    RECORD_ID_BYTES,
    SUGGESTIONS_MAX,
)
from huying.common.membership.trust import check_may_write
from huying.common.records.record_keys import keyed
from huying.common.records.registry import check_write, default_to
from huying.hub.suggest import suggest
from huying.node.admin import AdminNode
from huying.node.store.duty_queries import DutyListRow, folded
from huying.node.store.reader import Reader
from huying.wire.v1 import calls_pb2, duty_pb2, feed_pb2, policy_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = [
    "DUTY_ITEMS_MAX",
    "import_duty_list",
    "list_duty_items",
    "list_duty_versions",
    "show_duty_item",
    "suggest_duty",
]

DUTY_ITEMS_MAX: Final = COMMIT_ENTRIES_MAX - 1  # of one version, which is one append; one is header
_SUGGESTIONS_DEFAULT: Final = 5


async def import_duty_list(
    node: AdminNode, request: duty_pb2.ImportDutyListRequest
) -> duty_pb2.ImportDutyListResponse:
    """Write the next version of this node's own list.

    Raises HuyingError(INVALID_ARGUMENT) for no items, too many, one number twice, or a field that
    its rule refuses, else as the engine refuses to write.
    """
    code = node.config.node.code
    _check_items(request.items)
    response: duty_pb2.ImportDutyListResponse = await node.runtime.operate(
        _WriteVersion(node.reader, request)
    )

    def read() -> None:
        with node.reader.snapshot() as reader:
            rows = reader.duty_lists(code)
            in_force = next((row for row in rows if row.is_whole), None)
            response.list.CopyFrom(_version_view(rows[0], in_force))
            response.unknown_departments.extend(_unknown_departments(reader, code, request.items))

    await asyncio.to_thread(read)
    return response


async def list_duty_items(
    node: AdminNode, request: duty_pb2.ListDutyItemsRequest
) -> duty_pb2.ListDutyItemsResponse:
    """The items of one list that fit what is asked. Raises HuyingError(NOT_FOUND)."""

    def read() -> duty_pb2.ListDutyItemsResponse:
        with node.reader.snapshot() as reader:
            row, view = _chosen(reader, node.config.node.code, request.home, request.version)
            items = reader.duty_items(row.home, row.version)
        return duty_pb2.ListDutyItemsResponse(
            list=view, items=[item for item in items if _is_wanted(item, request)]
        )

    return await asyncio.to_thread(read)


async def show_duty_item(
    node: AdminNode, request: duty_pb2.ShowDutyItemRequest
) -> duty_pb2.ShowDutyItemResponse:
    """The item of that number. Raises HuyingError(NOT_FOUND)."""

    def read() -> duty_pb2.ShowDutyItemResponse:
        with node.reader.snapshot() as reader:
            row, view = _chosen(reader, node.config.node.code, request.home, request.version)
            item = reader.duty_item(row.home, row.version, request.number)
            if item is not None:
                return duty_pb2.ShowDutyItemResponse(list=view, item=item)
        raise HuyingError(
            Code.NOT_FOUND,
            f"version {row.version} of the duty list of {row.home} has no item of that"
            " number; `huying duty list` shows them",
        )

    return await asyncio.to_thread(read)


async def list_duty_versions(
    node: AdminNode, request: duty_pb2.ListDutyVersionsRequest
) -> duty_pb2.ListDutyVersionsResponse:
    """Every version of one node's list, or of all lists that are held here."""

    def read() -> duty_pb2.ListDutyVersionsResponse:
        response = duty_pb2.ListDutyVersionsResponse()
        with node.reader.snapshot() as reader:
            for home in [request.home] if request.home else reader.duty_homes():
                rows = reader.duty_lists(home)
                in_force = next((row for row in rows if row.is_whole), None)
                response.versions.extend(_version_view(row, in_force) for row in rows)
        return response

    return await asyncio.to_thread(read)


async def suggest_duty(
    node: AdminNode, request: duty_pb2.SuggestDutyRequest
) -> duty_pb2.SuggestDutyResponse:
    """The items that a matter falls under, by the list in force; none where there is no list.

    Raises HuyingError(NOT_FOUND) for a call that is not here, INVALID_ARGUMENT.
    """
    if request.call and len(request.call) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"call: {RECORD_ID_BYTES} bytes")
    if not (request.call or request.category or request.title or request.description):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "category: give a call, or a category, a title or a description"
        )

    def read() -> duty_pb2.SuggestDutyResponse:
        with node.reader.snapshot() as reader:
            home, matter = _matter(reader, request)
            response = duty_pb2.SuggestDutyResponse()
            answering = home or _county_of(node.config.node.code)
            response.item_required = reader.policy(answering, None).item_required
            try:
                row, view = _chosen(reader, node.config.node.code, home, 0)
            except HuyingError as error:
                if error.code is not Code.NOT_FOUND:
                    raise
                return response
            response.list.CopyFrom(view)
            items = reader.duty_items(row.home, row.version)
        limit = min(request.limit or _SUGGESTIONS_DEFAULT, SUGGESTIONS_MAX)
        for one in suggest(items, *matter, limit=limit):
            suggestion = response.suggestions.add(item=one.item, points=one.points)
            for reason in one.reasons:
                suggestion.reasons.add(
                    kind=duty_pb2.DutyReasonKind.ValueType(reason.kind),
                    word=reason.word,
                    points=reason.points,
                )
        return response

    return await asyncio.to_thread(read)


# --- entering a version ----------------------------------------------------------------------


def _check_items(items: Sequence[policy_pb2.DutyItem]) -> None:
    if not items:
        raise HuyingError(Code.INVALID_ARGUMENT, "items: none; a list has one item at least")
    if len(items) > DUTY_ITEMS_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"items: {len(items)}, the limit is {DUTY_ITEMS_MAX}: a version is written in one"
            " commit; leave out what is no duty of towns, or merge items",
        )
    seen: set[str] = set()
    for item in items:
        if folded(item.number) in seen:
            raise HuyingError(Code.INVALID_ARGUMENT, "items: a number occurs twice; number anew")
        seen.add(folded(item.number))


@dataclass(frozen=True, slots=True)
class _WriteVersion:
    """On the engine's thread, in a transaction of its own: no two take the same version."""

    reader: Reader
    request: duty_pb2.ImportDutyListRequest

    def run(self, engine: Engine) -> duty_pb2.ImportDutyListResponse:
        """What differs from the version before. Raises as `check_may_write` and `check_write`."""
        check_may_write(engine)
        code = engine.identity.code
        with self.reader.snapshot() as reader:
            newest = next(iter(reader.duty_lists(code, 1)), None)
            old = reader.duty_items(code, newest.version) if newest else []
        response = duty_pb2.ImportDutyListResponse()
        _compare(response, old, self.request.items)
        if newest is not None and _is_repeated(self.request, newest, response):
            response.repeated_file = True
        else:
            version = newest.version + 1 if newest is not None else 1
            engine.replica.append(_drafts(code, version, self.request))
        return response


def _drafts(
    code: str, version: int, request: duty_pb2.ImportDutyListRequest
) -> tuple[DraftEntry, ...]:
    """The items, and the header that says how many they are."""
    messages: list[tuple[int, bytes, policy_pb2.DutyItem | policy_pb2.DutyList]] = []
    for one in request.items:
        item = policy_pb2.DutyItem()
        item.CopyFrom(one)
        item.version = version
        record = keyed("duty-item", code, version, item.number)
        messages.append((feed_pb2.RECORD_TYPE_DUTY_ITEM, record, item))
    header = policy_pb2.DutyList(
        version=version,
        title=request.title,
        item_count=len(request.items),
        source_sha256=request.source_sha256,
        generated=any(item.generated for item in request.items),
    )
    record = keyed("duty-list", code, version)
    messages.append((feed_pb2.RECORD_TYPE_DUTY_LIST, record, header))
    drafts = []
    for record_type, record, message in messages:
        check_write(record_type, feed_pb2.KIND_PUT, message, code)
        drafts.append(
            DraftEntry(
                kind=feed_pb2.KIND_PUT,
                type=record_type,
                message=message,
                record=record,
                to=default_to(record_type, code, message),
            )
        )
    return tuple(drafts)


def _compare(
    response: duty_pb2.ImportDutyListResponse,
    old: Iterable[policy_pb2.DutyItem],
    new: Iterable[policy_pb2.DutyItem],
) -> None:
    """Count what differs, by number; which version an item is of is no difference."""

    def content(item: policy_pb2.DutyItem) -> bytes:
        copy = policy_pb2.DutyItem()
        copy.CopyFrom(item)
        copy.ClearField("version")
        return copy.SerializeToString(deterministic=True)

    before = {item.number: content(item) for item in old}
    after = {item.number: content(item) for item in new}
    response.added = len(after.keys() - before.keys())
    response.removed = len(before.keys() - after.keys())
    response.changed = sum(before[key] != after[key] for key in before.keys() & after.keys())


def _is_repeated(
    request: duty_pb2.ImportDutyListRequest,
    newest: DutyListRow,
    differences: duty_pb2.ImportDutyListResponse,
) -> bool:
    """Whether the newest version came from this very file, and has all that was read from it now.

    An older version's file is a new version: so a county goes back to what it had.
    """
    header = newest.header
    return (
        newest.is_whole
        and bool(request.source_sha256)
        and header.source_sha256 == request.source_sha256
        and header.title == request.title
        and not (differences.added or differences.changed or differences.removed)
    )


def _unknown_departments(
    reader: Reader, code: str, items: Iterable[policy_pb2.DutyItem]
) -> list[str]:
    """Departments of the list that the node has not entered, where it has entered any."""
    known: set[str] = set()
    token = b""
    while True:
        page = reader.list_records(
            feed_pb2.RECORD_TYPE_DEPARTMENT, home=code, limit=LIST_ENTRIES_MAX, page_token=token
        )
        known.update(policy_pb2.Department.FromString(row.message).name for row in page.rows)
        token = page.next_token
        if not token:
            break
    named = {name for item in items for name in (item.lead, *item.co_handlers) if name}
    return sorted(named - known) if known else []


# --- reading ---------------------------------------------------------------------------------


def _chosen(
    reader: Reader, code: str, home: str, version: int
) -> tuple[DutyListRow, duty_pb2.DutyVersion]:
    """The list that is asked for. Raises HuyingError(NOT_FOUND), saying what there is."""
    homes = [home] if home else [code, *ancestors(code)]
    for one in homes:
        rows = reader.duty_lists(one)
        in_force = next((row for row in rows if row.is_whole), None)
        asked = next((row for row in rows if row.version == version), None)
        row = asked if version else in_force
        if row is not None:
            return row, _version_view(row, in_force)
        if rows and not version:
            newest = rows[0]
            raise HuyingError(
                Code.NOT_FOUND,
                f"version {newest.version} of the duty list of {one} is on its way:"
                f" {newest.items_held} of {newest.header.item_count} items are here",
            )
    wanted = f"version {version} of a duty list" if version else "duty list"
    raise HuyingError(Code.NOT_FOUND, f"no {wanted} of {' or '.join(homes)} has come here")


def _matter(
    reader: Reader, request: duty_pb2.SuggestDutyRequest
) -> tuple[str, tuple[str, str, str]]:
    """Whose list is asked, and what the call says, or would say."""
    if not request.call:
        return request.home, (request.category, request.title, request.description)
    found = reader.get_call(request.call)
    if found is None:
        raise HuyingError(Code.NOT_FOUND, "no such call here")
    call = calls_pb2.Call.FromString(found[0].message)
    return request.home or call.sequencer, (call.category, call.title, call.description)


def _county_of(code: str) -> str:
    """Who would answer a call from here: the county above, or this node where it is one."""
    county = f"{code[:6]}000000"
    return county if county in ancestors(code) else code


def _is_wanted(item: policy_pb2.DutyItem, request: duty_pb2.ListDutyItemsRequest) -> bool:
    if request.kind and item.kind != request.kind:
        return False
    if request.department and request.department not in (item.lead, *item.co_handlers):
        return False
    texts = (item.number, item.title, *item.categories, *item.keywords, item.town_part)
    search = folded(request.search)
    return not search or any(search in folded(text) for text in texts)


def _version_view(row: DutyListRow, in_force: DutyListRow | None) -> duty_pb2.DutyVersion:
    header = row.header
    return duty_pb2.DutyVersion(
        home=row.home,
        version=header.version,
        title=header.title,
        item_count=header.item_count,
        items_held=row.items_held,
        source_sha256=header.source_sha256,
        generated=header.generated,
        in_force=in_force is not None and row.version == in_force.version,
        origin=row.origin,
        index=row.index,
        time_micros=row.time_micros,
    )
