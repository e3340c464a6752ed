"""Provisions in words for people, as JSON documents, and as the rows of a ledger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.node.api.types import message_class, type_name
from huying.node.cli.output import (
    print_block,
    print_json,
    print_note,
    print_pairs,
    print_table,
    when,
)
from huying.node.cli.plain import enum_name, to_plain
from huying.wire.v1 import provision_pb2 as wire

__all__ = [
    "LEDGER_HEADER",
    "ledger_row",
    "print_ledger",
    "print_list",
    "print_opened",
    "print_view",
    "provision_document",
]

_STAGES: Final = {
    "waiting": "等待 waiting",
    "approved": "已同意 approved",
    "denied": "已拒绝 denied",
    "withdrawn": "已撤回 withdrawn",
    "expired": "已到期 expired",
}
_REASONS: Final = {
    "not_needed": "非必要 not needed",
    "wrong_person": "对象有误 wrong person",
    "consent_refused": "本人不同意 consent refused",
    "not_held": "本级不掌握 not held",
    "expired": "逾期 expired",
    "not_entitled": "申请人无权限 not entitled",
    "other": "其他 other",
}
_USES: Final = {"shown": "查看 shown", "dropped": "销毁 dropped"}
# A word for the village's clerk beside the name of the field.
_FIELDS: Final = {
    "reporter_phone": "反映人电话",
    "reporter_name": "反映人姓名",
    "phone": "电话",
    "id_number": "身份证号",
    "address": "地址",
    "name": "姓名",
    "head_name": "户主姓名",
    "birth_date": "出生日期",
    "sex": "性别",
    "health": "健康状况",
    "key_population": "重点人群",
    "description_full": "事件全文",
    "household": "所在户",
    "number": "门牌号",
}


def _field(name: str) -> str:
    return f"{_FIELDS[name]} {name}" if name in _FIELDS else name


def provision_document(view: Any) -> dict[str, Any]:
    """One provision, as JSON prints it."""
    asked, decision = view.request, view.decision
    decided = None
    if view.HasField("decision"):
        decided = {
            "verdict": enum_name(wire.ProvisionVerdict.DESCRIPTOR, decision.verdict),
            "reason": _named(wire.DenialReason.DESCRIPTOR, decision.reason),
            "text": decision.text,
            "decided_by": decision.decided_by,
            "decided_micros": view.decided_micros,
            "expires_micros": decision.expires_micros or None,
            "origin": view.decision_place.origin,
            "index": view.decision_place.index,
            "approved_by": view.approved_by or None,
            "approved_micros": view.approved_micros or None,
        }
    return {
        "request": view.record.hex(),
        "stage": enum_name(wire.ProvisionStage.DESCRIPTOR, view.stage),
        "asker": view.asker,
        "home": view.home,
        "department": asked.department,
        "actor": asked.actor,
        "purpose": asked.purpose,
        "fields": list(asked.fields),
        "entry": {"origin": asked.entry.origin, "index": asked.entry.index},
        "type": type_name(asked.record_type),
        "record": asked.record.hex(),
        "call": asked.call.hex() or None,
        "asked_micros": view.asked_micros,
        "expires_micros": asked.expires_micros,
        "origin": view.place.origin,
        "index": view.place.index,
        "decision": decided,
        "uses": [
            {
                "use": enum_name(wire.ProvisionUse.DESCRIPTOR, one.use),
                "actor": one.actor,
                "used_micros": one.used_micros,
                "origin": one.place.origin,
                "index": one.place.index,
            }
            for one in view.uses
        ],
        "sealed_here": view.sealed_here,
        "home_heard_micros": view.home_heard_micros or None,
        "subject": {one.name: one.text for one in view.subject},
        "obstacle": _named(wire.DenialReason.DESCRIPTOR, view.obstacle),
        "key_published": view.key_published,
    }


def _named(enum: Any, number: int) -> str | None:
    return str(enum_name(enum, number)) if number else None


def print_view(view: Any, *, as_json: bool) -> None:
    """One provision, for a person who decides, or waits."""
    document = provision_document(view)
    if as_json:
        print_json(document)
        return
    pairs: list[tuple[str, object]] = [
        ("申请 · request", document["request"]),
        ("状态 · stage", _stage(document)),
        ("谁要 · who asks", f"{document['department']}({document['asker']},{document['actor']})"),
        ("要什么 · asks for", "、".join(_field(name) for name in document["fields"])),
        ("用途 · purpose", document["purpose"]),
        ("用到 · until", when(document["expires_micros"])),
        ("申请时间 · asked", when(document["asked_micros"])),
        ("归属 · home", document["home"]),
        ("记录 · record", f"{document['type']} {document['record']}"),
        ("条目 · entry", f"{document['entry']['origin']} #{document['entry']['index']}"),
        ("呼叫 · call", document["call"] or "—"),
    ]
    pairs += [(f"谁的数据 · of whom: {name}", text) for name, text in document["subject"].items()]
    pairs += _decision_pairs(document)
    print_pairs(pairs)
    if document["uses"]:
        print_table(
            ("使用 · use", "时间 · time", "经办人 · actor"),
            [
                (_USES[one["use"]], when(one["used_micros"]), one["actor"])
                for one in document["uses"]
            ],
        )


def _stage(document: dict[str, Any]) -> str:
    """The stage; for what waits, since when nothing was heard of the home."""
    said = _STAGES[document["stage"]]
    if document["stage"] == "waiting" and document["home_heard_micros"]:
        heard = when(document["home_heard_micros"])
        said += f",{document['home']} 最近一次有消息 last heard of {heard}"
    elif document["stage"] == "waiting" and not document["subject"] and not document["obstacle"]:
        said += f",等 {document['home']} 决定 decides"
    return said


def _decision_pairs(document: dict[str, Any]) -> list[tuple[str, object]]:
    decided = document["decision"]
    if decided is None:
        if document["obstacle"]:
            return [("不能提供 · can't be given", _REASONS[document["obstacle"]])]
        if document["subject"] and not document["key_published"]:
            return [("注意 · note", "该部门未公布此密钥 its node does not publish this key")]
        return []
    pairs: list[tuple[str, object]] = []
    if decided["verdict"] == "withdrawn" and decided["approved_by"]:
        given = f"{decided['approved_by']},{when(decided['approved_micros'])}"
        pairs.append(("曾同意 · approved before", given))
    pairs += [
        ("决定人 · decided by", decided["decided_by"]),
        ("决定时间 · decided", when(decided["decided_micros"])),
    ]
    if decided["reason"]:
        pairs.append(("理由 · reason", _REASONS[decided["reason"]]))
    if decided["text"]:
        pairs.append(("说明 · text", decided["text"]))
    if decided["verdict"] == "approved":
        pairs.append(("提供到 · given until", when(decided["expires_micros"] or 0)))
        held = "在本节点 held" if document["sealed_here"] else "不在本节点 not held"
        pairs.append(("密封内容 · sealed value", held))
    return pairs


def print_list(response: Any, *, as_json: bool) -> None:
    """A page of provisions: who asks for what, what for, for how long."""
    found = [provision_document(view) for view in response.provisions]
    following = response.next_page_token.hex()
    if as_json:
        print_json({"provisions": found, "next_page": following or None})
        return
    if not found:
        print_note("没有这样的申请", "no such request here")
    for one in found:
        pairs = (
            ("谁要 who asks", one["department"]),
            ("要什么 asks for", f"{one['type']}:{'、'.join(map(_field, one['fields']))}"),
            ("用途 purpose", one["purpose"]),
            ("用到 until", when(one["expires_micros"])),
        )
        # On one line each: what another node wrote must not pass for a line of this one.
        lines = (f"{label} {' '.join(value.split())}" for label, value in pairs)
        print_block(f"{one['request']}  {_stage(one)}", lines)
    if following:
        print_note(f"还有更多:--page {following}", "there is more")


def print_opened(response: Any, *, as_json: bool) -> None:
    """The value, this once."""
    made = message_class(response.record_type)
    fields = {} if made is None else to_plain(made.FromString(response.message))
    if as_json:
        print_json(
            {
                "request": response.record.hex(),
                "type": type_name(response.record_type),
                "fields": {name: fields.get(name) for name in response.fields},
                "expires_micros": response.expires_micros,
                "receipt": {"origin": response.receipt.origin, "index": response.receipt.index},
            }
        )
        return
    print_pairs([(_field(name), fields.get(name, "(空 empty)")) for name in response.fields])
    print_note(
        f"仅供本次办理,不得转存;已留痕,{when(response.expires_micros)} 销毁",
        f"for this matter only; written down as entry {response.receipt.index}",
    )


# --- the ledger ------------------------------------------------------------------------------

LEDGER_HEADER: Final = (
    "申请编号 request",
    "申请时间 asked",
    "申请节点 asker",
    "部门 department",
    "经办人 actor",
    "用途 purpose",
    "归属节点 home",
    "记录类型 type",
    "记录编号 record",
    "字段 fields",
    "期限 until",
    "呼叫 call",
    "状态 stage",
    "决定时间 decided",
    "决定人 decided by",
    "理由 reason",
    "说明 text",
    "同意时间 approved",
    "同意人 approved by",
    "查看次数 looks",
    "最近查看 last look",
    "查看人 looked",
    "销毁时间 dropped",
    "条目 entry",
)


def ledger_row(document: dict[str, Any]) -> tuple[str | int, ...]:
    """One provision as a row under LEDGER_HEADER."""
    decided = document["decision"] or {}
    looks = [one for one in document["uses"] if one["use"] == "shown"]
    drops = [one["used_micros"] for one in document["uses"] if one["use"] == "dropped"]
    return (
        document["request"],
        when(document["asked_micros"]),
        document["asker"],
        document["department"],
        document["actor"],
        document["purpose"],
        document["home"],
        document["type"],
        document["record"],
        " ".join(document["fields"]),
        when(document["expires_micros"]),
        document["call"] or "",
        _STAGES[document["stage"]],
        when(decided.get("decided_micros") or 0),
        decided.get("decided_by", ""),
        _REASONS.get(decided.get("reason") or "", ""),
        decided.get("text", ""),
        when(decided.get("approved_micros") or 0),
        decided.get("approved_by") or "",
        len(looks),
        when(max((one["used_micros"] for one in looks), default=0)),
        " ".join(dict.fromkeys(one["actor"] for one in looks)),
        when(max(drops, default=0)),
        f"{document['entry']['origin']}#{document['entry']['index']}",
    )


def print_ledger(views: Iterable[Any], output: Path | None, *, as_json: bool) -> None:
    """Every provision, to the screen or to a file. Raises HuyingError(INVALID_ARGUMENT)."""
    documents = [provision_document(view) for view in views]
    if output is not None:
        _write(documents, output)
    if as_json:
        print_json({"provisions": documents})
    elif output is None:
        shown = (0, 1, 3, 5, 6, 9, 12, 19, 22)
        headings = [LEDGER_HEADER[at].replace(" ", " · ", 1) for at in shown]
        headings[0] = f"={headings[0]}"
        rows = [ledger_row(document) for document in documents]
        print_table(headings, [[row[at] for at in shown] for row in rows])
    if output is not None:
        print_note(f"已写入 {len(documents)} 条:{output}", f"{len(documents)} rows written")


def _write(documents: Iterable[dict[str, Any]], output: Path) -> None:
    from huying.node.sheets import write_table

    try:
        write_table(output, LEDGER_HEADER, [ledger_row(one) for one in documents])
    except OSError as error:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"--output: can't be written: {error.strerror}"
        ) from None
