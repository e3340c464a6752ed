"""How duty lists and suggestions are shown: as JSON documents, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from huying.hub.duty_sheet import GENERATED, KIND_NAMES
from huying.node.cli.output import (
    count,
    print_block,
    print_json,
    print_note,
    print_pairs,
    print_table,
    when,
)
from huying.wire.v1 import duty_pb2

if TYPE_CHECKING:
    from huying.node.sheets import Import
    from huying.wire.v1 import policy_pb2

__all__ = [
    "item_document",
    "list_document",
    "list_name",
    "print_import",
    "print_item",
    "print_items",
    "print_suggestions",
    "print_versions",
    "reason_text",
]

_KIND_WORDS: Final = {1: "town", 2: "shared", 3: "admitted"}
_REASON_WORDS: Final = {
    duty_pb2.DUTY_REASON_KIND_CATEGORY: ("category", "类别相符", "the category"),
    duty_pb2.DUTY_REASON_KIND_CATEGORY_GROUP: ("category_group", "类别的大类相符", "its group"),
    duty_pb2.DUTY_REASON_KIND_ITEM_TITLE: (
        "item_title",
        "类别或标题含事项名称",
        "the item's title",
    ),
    duty_pb2.DUTY_REASON_KIND_TITLE_WORD: (
        "title_word",
        "类别或标题含关键词",
        "a word in category or title",
    ),
    duty_pb2.DUTY_REASON_KIND_TEXT_WORD: ("text_word", "事由含关键词", "a word in the text"),
}


def print_import(
    response: duty_pb2.ImportDutyListResponse, importing: Import, *, as_json: bool
) -> None:
    """What an import wrote, and what it left out."""
    if as_json:
        print_json(
            {
                "list": list_document(response.list),
                "written": not response.repeated_file,
                "items": importing.accepted,
                "rejected_rows": importing.rejected,
                "errors": [
                    {"row": error.number, "column": error.column, "what": error.what}
                    for error in importing.errors
                ],
                "added": response.added,
                "changed": response.changed,
                "removed": response.removed,
                "unknown_departments": list(response.unknown_departments),
            }
        )
        return
    for error in importing.errors:
        print_note(*_halves(str(error)))
    if importing.rejected > len(importing.errors):
        print_note("其余错误未列出", "more errors are not shown")
    if response.repeated_file:
        print_note(
            f"内容与现有版本相同,没有写入:{list_name(response.list)}",
            "this very file is the newest version already: nothing was written",
        )
        return
    print_pairs(
        [
            ("清单 · list", list_name(response.list)),
            ("事项 · items", count(response.list.item_count)),
            ("跳过的行 · rows left out", count(importing.rejected)),
            ("新增 · added", count(response.added)),
            ("变更 · changed", count(response.changed)),
            ("移除 · removed", count(response.removed)),
        ]
    )
    if response.unknown_departments:
        names = "、".join(response.unknown_departments)
        print_note(f"部门名录中没有:{names}", "departments that are not entered here")


def print_items(response: duty_pb2.ListDutyItemsResponse, *, as_json: bool) -> None:
    """A list's items, below whose list it is."""
    if as_json:
        items = [item_document(item) for item in response.items]
        print_json({"list": list_document(response.list), "items": items})
        return
    print_note(list_name(response.list), f"{len(response.items)} of {response.list.item_count}")
    if not response.items:
        print_note("没有这样的事项", "no such item")
        return
    print_table(
        ("=编号 · number", "类型 · list", "事项 · item", "主办 · lead", "协办 · co-handlers"),
        [
            (item.number, _kind(item), item.title, item.lead or "—", "、".join(item.co_handlers))
            for item in response.items
        ],
    )


def print_item(response: duty_pb2.ShowDutyItemResponse, *, as_json: bool) -> None:
    """One item with all that it says."""
    item = response.item
    if as_json:
        print_json({"list": list_document(response.list), "item": item_document(item)})
        return
    print_pairs(
        [
            ("清单 · list", list_name(response.list)),
            ("编号 · number", item.number),
            ("类型 · list", _kind(item)),
            ("事项 · item", item.title),
            ("主办 · lead", item.lead or "—"),
            ("协办 · co-handlers", "、".join(item.co_handlers) or "—"),
            ("呼叫类别 · categories", "、".join(item.categories) or "—"),
            ("关键词 · keywords", "、".join(item.keywords) or "—"),
            ("乡镇职责 · town's part", item.town_part or "—"),
            ("依据 · basis", item.basis or "—"),
        ]
    )


def print_versions(response: duty_pb2.ListDutyVersionsResponse, *, as_json: bool) -> None:
    """The versions of every list."""
    if as_json:
        print_json({"versions": [list_document(one) for one in response.versions]})
        return
    if not response.versions:
        print_note("本节点没有收到职责清单", "no duty list has come here")
        return
    print_table(
        ("=节点 · of", ">版本 · version", "名称 · title", ">事项 · items", "状态 · state", "时间"),
        [
            (
                one.home,
                one.version,
                _marked(one),
                one.item_count,
                _state(one),
                when(one.time_micros),
            )
            for one in response.versions
        ],
    )


def print_suggestions(response: duty_pb2.SuggestDutyResponse, *, as_json: bool) -> None:
    """Who might lead and why, or that nothing matches and what that means."""
    has_list = response.HasField("list")
    if as_json:
        print_json(
            {
                "list": list_document(response.list) if has_list else None,
                "suggestions": [_suggestion_document(one) for one in response.suggestions],
                "off_list": not response.suggestions,
                "item_required": response.item_required,
            }
        )
        return
    if not has_list:
        print_note("本节点没有现行的职责清单", "no duty list is in force here")
    else:
        print_note(list_name(response.list), f"{len(response.suggestions)} suggestions")
    for one in response.suggestions:
        item = one.item
        lines = [f"主办 lead: {item.lead or '—(乡镇履行,the town itself)'}"]
        if item.co_handlers:
            lines.append(f"协办 co-handlers: {'、'.join(item.co_handlers)}")
        lines += [reason_text(reason) for reason in one.reasons]
        print_block(f"{item.number}  {item.title}  {one.points}", lines)
    if not response.suggestions:
        print_note("清单中没有相符的事项", "nothing in the list matches")
        if response.item_required:
            print_note(
                "派单前须先批准清单外事项:huying call off-list",
                "the policy asks for an off-list approval before the dispatch",
            )


def reason_text(reason: duty_pb2.DutyReason) -> str:
    """Why an item was suggested, in words."""
    _, zh, en = _REASON_WORDS.get(reason.kind, ("", "", ""))
    return f"{zh}「{reason.word}」+{reason.points} · {en}"


def list_name(one: duty_pb2.DutyVersion) -> str:
    """Whose list it is, and which version."""
    return f"{one.home} 第 {one.version} 版 {_marked(one)}"


def list_document(one: duty_pb2.DutyVersion) -> dict[str, Any]:
    """A version for --json."""
    return {
        "home": one.home,
        "version": one.version,
        "title": one.title,
        "item_count": one.item_count,
        "items_held": one.items_held,
        "in_force": one.in_force,
        "generated": one.generated,
        "source_sha256": one.source_sha256.hex(),
        "origin": one.origin,
        "index": one.index,
        "time_micros": one.time_micros,
    }


def item_document(item: policy_pb2.DutyItem) -> dict[str, Any]:
    """An item for --json."""
    return {
        "number": item.number,
        "kind": _KIND_WORDS.get(item.kind, ""),
        "title": item.title,
        "lead": item.lead,
        "co_handlers": list(item.co_handlers),
        "categories": list(item.categories),
        "keywords": list(item.keywords),
        "town_part": item.town_part,
        "basis": item.basis,
        "generated": item.generated,
    }


def _suggestion_document(one: duty_pb2.DutySuggestion) -> dict[str, Any]:
    return {
        "item": item_document(one.item),
        "points": one.points,
        "reasons": [
            {
                "kind": _REASON_WORDS.get(reason.kind, ("",))[0],
                "word": reason.word,
                "points": reason.points,
            }
            for reason in one.reasons
        ],
    }


def _kind(item: policy_pb2.DutyItem) -> str:
    return KIND_NAMES.get(item.kind, ("—",))[0]


def _marked(one: duty_pb2.DutyVersion) -> str:
    """The title; a generated list is always said to be one."""
    if one.generated and "示例数据" not in one.title:
        return f"{one.title}({GENERATED})"
    return one.title


def _state(one: duty_pb2.DutyVersion) -> str:
    if one.in_force:
        return "现行 in force"
    if one.items_held < one.item_count:
        return f"收到 {one.items_held}/{one.item_count} arriving"
    return "已被取代 replaced"


def _halves(text: str) -> tuple[str, str]:
    zh, _, en = text.partition(" · ")
    return zh, en
