"""A call on a terminal of 80 columns: where it stands, whose turn it is, and every step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from huying.common.codes import parse_origin
from huying.node.cli.call_text import (
    CARDS,
    CLOCKS,
    ROLES,
    SUPERVISION,
    URGENCIES,
    command_text,
    rest_text,
    said,
    span_text,
    stage_text,
    step_name,
    step_text,
    transit_text,
)
from huying.node.cli.output import clean, console, division, print_block, when

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_call", "print_listed"]

_COLUMNS_MAX: Final = 100  # wider lines are read with effort
_Names = Mapping[str, str]
_RECORDS: Final = {"call": "呼叫 call", "event": "事件 event"}
_STATES: Final = {"withheld": "未授 withheld", "erased": "已删除 erased", "lost": "已丢失 lost"}
_SHOWN: Final = ("category", "title", "description", "grid", "village", "event", "approved_by")
_LABELS: Final = {
    "category": "类别 category",
    "title": "标题 title",
    "description": "事由 about",
    "grid": "网格 grid",
    "village": "村 village",
    "event": "事件 event",
    "approved_by": "审签 approved by",
}


def print_listed(documents: Iterable[dict[str, Any]]) -> None:
    """Calls in a list: two lines each."""
    for each in documents:
        clock = _clock_text(each["clock"])
        told = (
            when(each["raised_micros"]),
            each["department"],
            each["content"].get("title", ""),
        )
        lines = ["  ".join(filter(None, told))]
        if each["open"] and each["clock"]:
            lines.append(clock.replace("\n", ", "))
        print_block(f"{each['call']}  {each['caller']}  {stage_text(each['stage'])}", lines)


def print_call(document: dict[str, Any], names: _Names) -> None:
    """The whole call. `names` are those of the divisions known here, by code."""
    out = console()
    out.width = min(out.width, _COLUMNS_MAX)
    content = document["content"]
    title = "  ".join(filter(None, (content.get("title"), content.get("category"))))
    _heading(out, clean(title) or "呼叫 · a call")
    _pairs(out, _standing(document, names))
    _heading(out, "时间 · times")
    _pairs(out, _times(document))
    _heading(out, "事由 · the matter")
    _pairs(out, _matter(document, names))
    _heading(out, "步骤 · steps")
    _steps(out, document, names)


def _heading(out: Console, text: str) -> None:
    from rich.text import Text

    out.print()
    out.print(Text(text, style="bold underline"))


def _pairs(out: Console, rows: Iterable[tuple[str, object]]) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label, style="bold"), Text(clean(str(value))))
    out.print(grid)


def _named(code: str, names: _Names) -> str:
    return division(names.get(code, ""), code)


def _standing(document: dict[str, Any], names: _Names) -> list[tuple[str, object]]:
    department = document["department"]
    rows: list[tuple[str, object]] = [
        ("呼叫 call", document["call"]),
        ("呼叫方 caller", _named(document["caller"], names)),
        ("应答方 answers", _named(document["sequencer"], names)),
        ("环节 stage", stage_text(document["stage"])),
        ("轮到 turn", _turn(document, names)),
        ("时限 clock", _clock_text(document["clock"])),
        ("主办 lead", department or "—"),
    ]
    if document["co_handlers"]:
        helpers = (
            f"{each} ✓ 已回复 replied" if each in document["replied"] else each
            for each in document["co_handlers"]
        )
        rows.append(("协办 helpers", "、".join(helpers)))
    if document["urgency"]:
        rows.append(("紧急 urgency", said(URGENCIES, document["urgency"])))
    rows.append(("当事方 parties", "、".join(_named(code, names) for code in document["parties"])))
    rows += [("标记 marks", "、".join(marks))] if (marks := _marks(document)) else []
    if document["missing_numbers"]:
        rows.append(("缺步骤 missing", _numbers(document["missing_numbers"])))
    return rows


def _turn(document: dict[str, Any], names: _Names) -> str:
    turn = document["turn"]
    if turn is None:
        return "已结束 · nobody's: it has ended"
    who = {
        "sequencer": f"等待 {_named(document['sequencer'], names)} 收到 · on its way",
        "centre": f"{said(ROLES, 'centre')}, {_named(document['sequencer'], names)}",
        "department": f"{said(ROLES, 'department')}, {document['department']}",
        "caller": f"{said(ROLES, 'caller')}, {_named(document['caller'], names)}",
    }[turn]
    allowed = document["allowed"].get(turn, ())
    told = "、".join(command_text(step) for step in allowed)
    return f"{who}\n可做 may: {told}" if told else who


def _clock_text(clock: dict[str, Any] | None) -> str:
    if clock is None:
        return "—"
    name = said(CLOCKS, clock["clock"])
    left = clock["remaining_micros"]
    if clock["state"] == "paused":
        rest = f", 剩余 left {rest_text(left)}" if left else ""
        return f"{name}: 已暂停 paused{rest}"
    until = f"至 until {when(clock['due_micros'])}"
    if left is None:
        return f"{name}: {until}"
    if left < 0:
        return f"{name}: 已超时 overdue {span_text(left)}\n{until}"
    return f"{name}: 剩余 left {span_text(left)}\n{until}"


def _marks(document: dict[str, Any]) -> list[str]:
    told = [
        (document["off_list"], "清单外准入 off the list"),
        (document["assigned"], "裁决指定 assigned"),
        (document["awaiting_supplement"], "等待补充 awaits a supplement"),
        (document["extension_asked"], "已申请延期 extension asked"),
        (document["supervision"], said(SUPERVISION, document["supervision"])),
        (document["card"], said(CARDS, document["card"])),
        (document["late"], "后加入 joined late"),
        (document["merged_into"], f"并入 into {document['merged_into']}"),
    ]
    counted = [
        ("objections", "异议 objections"),
        ("extensions", "延期 extensions"),
        ("reworks", "退回重办 reworks"),
        ("reopens", "重办 reopens"),
        ("urges", "催办 urges"),
        ("void_count", "无效步骤 void steps"),
    ]
    return [
        *(text for holds, text in told if holds),
        *(f"{text} {document[name]}" for name, text in counted if document[name]),
    ]


def _times(document: dict[str, Any]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("呼叫 raised", when(document["raised_micros"])),
        ("收到 received", when(document["received_micros"] or 0)),
        ("在途 transit", transit_text(document["transit_micros"])),
        ("期限 deadline", when(document["deadline_micros"] or 0)),
    ]
    later = (
        ("accepted_micros", "签收 accepted"),
        ("answered_micros", "答复 answered"),
        ("confirmed_micros", "回访 confirmed"),
        ("ended_micros", "结束 ended"),
    )
    rows += [(label, when(document[name])) for name, label in later if document[name]]
    for clock in document["clocks"]:
        if clock["state"] in ("running", "paused") or clock["breaches"]:
            state = {"running": "运行 runs", "paused": "暂停 paused", "expired": "到时 ran out"}
            told = state.get(clock["state"], "停止 stopped")
            due = f", {when(clock['due_micros'])}" if clock["due_micros"] else ""
            rows.append((f"· {said(CLOCKS, clock['clock'])}", f"{told}{due}"))
    return rows


def _matter(document: dict[str, Any], names: _Names) -> list[tuple[str, object]]:
    content = document["content"]
    rows: list[tuple[str, object]] = [
        (_LABELS[name], _named(content[name], names) if name == "village" else content[name])
        for name in _SHOWN
        if content.get(name)
    ]
    rows += [
        (label, content[name])
        for name, label in (
            ("contact_name", "联系人 contact"),
            ("contact_phone", "电话 phone"),
        )
        if content.get(name)
    ]
    for each in content.get("attachments", ()):
        digest = each.get("sha256", "")
        rows.append(
            ("附件 attached", f"{each['name']} {each.get('size_bytes', 0):,} B\nsha256 {digest}")
        )
    return [*rows, *_withheld(document, names)]


def _withheld(document: dict[str, Any], names: _Names) -> list[tuple[str, object]]:
    """What is not shown here, by the node that keeps it: it decides who may see."""
    fields: dict[tuple[str, str, str], list[str]] = {}
    for each in document["withheld"]:
        key = each["state"], each["record"], each["home"]
        fields.setdefault(key, []).extend(each["fields"])
    rows: list[tuple[str, object]] = []
    for (state, record, home), listed in fields.items():
        told = f"{_RECORDS[record]}: {', '.join(listed)}"
        if state == "withheld":
            ask = document["call"] if record == "call" else document["content"].get("event", "")
            told += f"\n保留在 withheld at {_named(home, names)}"
            told += "\n由其决定是否开放 · it decides who may see; ask with:"
            told += f"\nhuying disclosure request {ask}"
        rows.append((_STATES.get(state, state), told))
    return rows


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers in runs, e.g. `3, 5–7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def _steps(out: Console, document: dict[str, Any], names: _Names) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    expected = 1
    missing = set(document["missing_numbers"])
    for step in document["steps"]:
        number = step["number"]
        if number is not None:
            gap = [n for n in range(expected, number) if n in missing]
            if gap:
                grid.add_row(
                    Text("?", style="bold red"),
                    Text(f"缺步骤 {_numbers(gap)} · steps that are not here", style="red"),
                )
            expected = number + 1
        grid.add_row(Text(_mark(step), style="bold"), _step(step, names))
    out.print(grid)


def _mark(step: dict[str, Any]) -> str:
    if step["void"]:
        return "✗"
    if step["pending"]:
        return "…"
    return str(step["number"] or "·")


def _step(step: dict[str, Any], names: _Names) -> Any:
    from rich.text import Text

    text = Text(f"{when(step['time_micros'])}  ")
    text.append(step_name(step["step"]), style="bold red" if step["void"] else "bold")
    code = parse_origin(step["origin"])
    where = f"{_named(step['home'] or code.code, names)} e{code.epoch} #{step['index']}"
    who = " ".join(filter(None, (step["department"], step["actor"])))
    text.append(f"\n{clean(who)}{', ' if who else ''}{where}", style="dim")
    if told := step_text(step):
        text.append(f"\n{clean(told)}")
    return text
