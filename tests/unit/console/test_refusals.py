"""Refusals in the words of whoever reads the page: each that can come, in Chinese."""

from __future__ import annotations

import ast
import re
from contextlib import closing
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.records import record_rules
from huying.node.media import MediaError
from huying.node.sheets import SheetError
from huying.node.web import refusals
from huying.node.web.refusals import telling
from huying.node.web.refusals.fields import label
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY
from tests.unit.console.refusal_details import details, reaching

# Details that are no text of their own: they pass on one that is read where it is made, or name
# the error of a database, the kind of a defect, or a node, which have no words.
PASSED_ON = frozenset(
    {
        ("oidc.py", "detail"),
        ("report_pages.py", "error"),
        ("database.py", "name"),
        ("calls.py", "known"),
        ("faults.py", "info.metadata.get('detail', '')"),
        ("call_judge.py", "refusal.detail"),
        *(("call_rules.py", name) for name in ("who", "why", "wrong")),
        ("runtime.py", "self._failure.detail"),
        ("runtime.py", "error.detail"),
        ("runtime.py", "type(error).__name__"),
        ("appends.py", "self._engine.identity.code"),
        ("trust.py", "engine.identity.code"),
    }
)
# The records that pages write, or have the node write.
WRITTEN = (
    *("Event", "Household", "Resident", "Visit", "Evidence", "CallDraft", "Call", "Attachment"),
    *("CallStep", "Confirm", "Rate", "Supplement", "Reopen", "Withdraw", "Urge", "Admit"),
    *("Decline", "OffList", "Dispatch", "Ruling", "ExtensionDecision", "Review", "Closure"),
    *("Merge", "Supervise", "Card", "Accept", "Objection", "Note", "SupplementRequest", "Resume"),
    *("Reply", "ExtensionRequest", "Answer"),
)
# Of those, what the program writes and no person: a fault in them is the program's.
PROGRAMS_OWN = frozenset(
    {
        *("generated", "masks", "took", "earlier", "clocks", "terms", "refs", "confirmed"),
        *("contact_erased", "duty_version", "terms", "number", "outage", "timeout", "party"),
    }
)


def _unread() -> set[tuple[str, str]]:
    return {(one.module, one.text) for one in details()[1]}


def test_every_refusal_that_can_reach_a_page_has_its_words_in_chinese() -> None:
    """A person who errs must learn what to mend, and reads Chinese.

    A new refusal needs a sentence in `huying.node.web.refusals`.
    """
    without = sorted(
        {
            f"{one.module}:{one.line}: {one.text}"
            for one in details()[0]
            if refusals.in_chinese(one.text) is None
        }
    )
    assert not without, "\n".join(without)


def test_no_sentence_outlives_its_refusal() -> None:
    """A refusal that was worded anew would else fall back to English, and nobody would see."""
    used = {telling.sentence_of(one.text) for one in details()[0]}
    idle = [one[0] for one in (*telling.SENTENCES, *telling.OF_FIELDS) if one not in used]
    assert not idle


def test_no_refusal_is_overlooked() -> None:
    """What the reading of the program's text can't follow is few, and known."""
    assert _unread() == PASSED_ON
    assert len({one.text for one in details()[0]}) > 350
    assert len(reaching()) > 100


def test_every_sentence_is_chinese_and_loses_nothing() -> None:
    """A limit in Chinese is the limit of the detail; nothing is made up."""
    for english, chinese in (*telling.SENTENCES, *telling.OF_FIELDS):
        assert re.search("[\u4e00-\u9fff]", chinese.replace("{why}", "因")), chinese
        places = set(re.findall(r"\{[a-z0-9]+\}", english))
        assert set(re.findall(r"\{[a-z0-9]+\}", chinese)) <= places, chinese
    told = refusals.in_chinese("title: 2001 characters, 2000 at most; shorten it")
    assert told == "标题:有 2001 个字,最多 2000 个,请缩短"


def test_every_field_that_a_person_fills_in_has_a_name() -> None:
    """`reporter_phone` tells a village clerk nothing."""
    rules = record_rules._RULES  # what may be refused is the rules' to say
    names = {name for one in WRITTEN for name, rule in rules[one].items() if rule.check}
    for path in reaching():
        if "/web/" in path.as_posix():
            names |= set(_form_fields(path))
    nameless = sorted(name for name in names - PROGRAMS_OWN if label(name) == name)
    assert not nameless


def _form_fields(path: Path) -> list[str]:
    """What the forms of a module are asked for, where that can be refused."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0]
            asked = node.func.attr in ("text", "required", "number", "id") and (
                isinstance(node.func.value, ast.Name) and node.func.value.id == "form"
            )
            if asked and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(first.value)
    return found


@pytest.mark.parametrize(
    ("detail", "chinese"),
    [
        (
            (
                "accept: not allowed while the call is HANDLING; allowed now: centre: note, urge; "
                "department: nothing; caller: withdraw; before it: accept by 水务局 p-07 at "
                "2026-10-08T01:12:03Z (step 4)"
            ),
            (
                "呼叫在「办理中」环节,不能「签收」。现在可办:县中心(办理记录、催办)、呼叫方(撤回)。"
                "在此之前:水务局 p-07 已于 2026-10-08 01:12:03 UTC 签收(第 4 步)"
            ),
        ),
        (
            (
                "note is not for 370830108000 to take; the call is HANDLING, allowed now: the "
                "centre of 370830000000: note, urge; its department 水务局: answer; the caller "
                "370830108000: urge, withdraw"
            ),
            (
                "「办理记录」不由 370830108000 来办;呼叫在「办理中」环节。现在可办:县中心 "
                "370830000000(办理记录、催办)、部门 水务局(答复)、呼叫方 370830108000(催办、撤回)"
            ),
        ),
        (
            "draft 2: phone: over 40 characters; give one number",
            "电话:超过 40 个字符,请只填一个号码",
        ),
        (
            "closure.reason: CLOSURE_REASON_CONFIRMED while the call is CONFIRMED",
            "在「已确认」环节,办结理由须为「已确认解决」",
        ),
        ("card.colour: one of CARD_COLOUR_YELLOW, CARD_COLOUR_RED", "牌色:须为下列之一:黄牌、红牌"),
        ("stage: one of raised, handling, closed", "环节:须为下列之一:已呼叫、办理中、已办结"),
        ("it can't be given, whoever asks: NOT_HELD; deny it", "不能提供(本级不掌握),请拒绝"),
        ("grid: 请选网格 · choose the grid", "请选网格"),
        ("370830000000", "370830000000"),
    ],
)
def test_what_a_refusal_names_is_named_in_chinese_too(detail: str, chinese: str) -> None:
    """Stages, steps, roles and fields have one name on the screen, also in a refusal."""
    assert refusals.in_chinese(detail) == chinese


def test_an_unknown_detail_is_shown_as_it_is_and_marked_as_english() -> None:
    """A newer node may refuse in words that this console has not heard of."""
    told = refusals.said(HuyingError(Code.BUSY, "the moon is full"), "zh")
    assert told == refusals.Said("队列已满,请稍后再试", "the moon is full", is_foreign=True)
    assert refusals.plain(HuyingError(Code.BUSY, "the moon is full"), "zh") == (
        "队列已满,请稍后再试(the moon is full)"
    )


@pytest.mark.parametrize("language", ["zh", "en"])
def test_files_and_tables_speak_for_themselves_once(language: str) -> None:
    """They bring both languages, so nothing of them is said twice, nor in the other one."""
    for error in (MediaError("照片坏了 · it is damaged"), SheetError("表格是空的 · it is empty")):
        told = refusals.said(error, language)
        shown = f"{told.lead} {told.detail}"
        assert ("坏了" in shown or "空的" in shown) == (language == "zh")
        assert ("damaged" in shown or "empty" in shown) == (language == "en")


def test_a_page_tells_a_refusal_in_the_readers_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tables hold must reach the page, through the macro that every form uses."""
    network = ServedNetwork(tmp_path, monkeypatch)
    with closing(network), ConsoleUnderTest(network, COUNTY) as console:
        console.sign_in("centre")
        refused = console.get("/calls?stage=nonsense")
        assert refused.status_code == 400
        assert "环节:须为下列之一" in text_of(refused.text)
        assert "one of" not in text_of(refused.text)
        console.sign_in("centre", login="english", language="en")
        refused = console.get("/calls?stage=nonsense")
        assert "stage: one of" in text_of(refused.text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_tells_where_the_nodes_files_lie(language: str) -> None:
    """The sign-in page is anybody's, and a full disk shows there first."""
    told = telling.said(
        HuyingError(Code.DISK_FULL, "/srv/huying/county/console/console.db: SQLITE_FULL"), language
    )
    assert "/srv" not in told.detail
    assert "console.db" in told.detail
