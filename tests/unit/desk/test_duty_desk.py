"""Duty lists between nodes: entered whole or not at all, and in force below once all is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from huying.common.effects import DraftEntry
from huying.common.errors import EXIT_USAGE, Code, HuyingError
from huying.common.records.registry import default_to
from huying.hub.cli import app
from huying.hub.desk import DUTY
from huying.hub.desk.duty import DUTY_ITEMS_MAX
from huying.hub.duty_example import example_items
from huying.node.cli.main import execute
from huying.wire.v1 import api_pb2, calls_pb2, duty_pb2, feed_pb2, policy_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]
HEADER = "序号,清单类型,事项名称,呼叫类别,关键词,牵头部门,配合部门\n"
LIST = HEADER + "1,共担,道路维修,道路,坑洼,交通局,财政局\n2,共担,饮水,供水,停水,水务局,\n"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedNetwork]:
    network = ServedNetwork(tmp_path, monkeypatch)
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def huying(
    served: ServedNetwork,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs a command at a node: `huying(TOWN, "duty", "list")`."""

    def run(code: str, *arguments: str) -> Result:
        monkeypatch.setenv("HUYING_API__LISTEN", served.address(code))
        capsys.readouterr()
        exit_code = execute(app(), ["--config", str(served.configs[code].file), *arguments])
        return Result(exit_code, *capsys.readouterr())

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def ask(served: ServedNetwork, code: str, method: str, request: Any) -> Any:
    """What a node's desk answers."""
    with served.client(code) as client:
        return client.ask_desk(DUTY, method, request, 30.0)


def items(*numbers: str) -> list[policy_pb2.DutyItem]:
    return [
        policy_pb2.DutyItem(number=number, kind=policy_pb2.DUTY_KIND_SHARED, title=f"事项{number}")
        for number in numbers
    ]


def size(served: ServedNetwork, code: str = COUNTY) -> int:
    """How many entries a node's own feed has."""
    return served.network.engines[code].replica.own.size


def test_a_list_flows_down_and_every_tier_says_whose_it_is(huying: Run, file: Path) -> None:
    """The town reads what the county will dispatch by, and knows which version."""
    written = huying(COUNTY, "duty", "import", str(file), "--title", "县职责清单", "--json")
    assert written.code == 0, written.err
    assert (written.json["list"]["version"], written.json["added"]) == (1, 2)
    for code in (COUNTY, TOWN, VILLAGE):
        shown = huying(code, "duty", "list", "--json").json
        assert (shown["list"]["home"], shown["list"]["title"]) == (COUNTY, "县职责清单")
        assert [item["number"] for item in shown["items"]] == ["S1", "S2"]
    people = huying(TOWN, "duty", "list")
    assert f"{COUNTY} 第 1 版 县职责清单" in people.err
    assert "道路维修" in people.out


def test_the_same_file_again_writes_nothing_and_says_so(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """Who is not sure whether it worked does it again."""
    assert huying(COUNTY, "duty", "import", str(file)).code == 0
    before = size(served)
    again = huying(COUNTY, "duty", "import", str(file))
    assert (again.code, size(served)) == (0, before)
    assert "没有写入" in again.err
    assert not huying(COUNTY, "duty", "import", str(file), "--json").json["written"]


def test_a_changed_file_is_the_next_version_and_the_first_file_the_one_after(
    huying: Run, file: Path
) -> None:
    """A county may go back; what it had before stays readable."""
    huying(COUNTY, "duty", "import", str(file))
    file.write_text(
        HEADER + "1,共担,道路养护,道路,坑洼,交通局,\n3,准入,普查,,普查,统计局,\n", "utf-8"
    )
    second = huying(COUNTY, "duty", "import", str(file), "--json").json
    assert [second[key] for key in ("added", "changed", "removed")] == [1, 1, 1]
    assert huying(TOWN, "duty", "show", "s1", "--json").json["item"]["title"] == "道路养护"
    old = huying(TOWN, "duty", "show", "S1", "--version", "1", "--json").json
    assert (old["item"]["title"], old["list"]["in_force"]) == ("道路维修", False)
    file.write_text(LIST, "utf-8")
    assert huying(COUNTY, "duty", "import", str(file), "--json").json["list"]["version"] == 3
    versions = huying(TOWN, "duty", "versions", "--json").json["versions"]
    assert [(one["version"], one["in_force"]) for one in versions] == [
        (3, True), (2, False), (1, False),
    ]  # fmt: skip


def test_a_version_is_one_commit(served: ServedNetwork, huying: Run) -> None:
    """Half a list would say of half of the duties that they are nobody's."""
    request = duty_pb2.ImportDutyListRequest(title="例", items=example_items())
    network = served.network
    commits: list[int] = []
    append = network.engines[COUNTY].replica.append

    def counted(drafts: Any) -> Any:
        commits.append(len(drafts))
        return append(drafts)

    network.engines[COUNTY].replica.append = counted  # type: ignore[method-assign]
    ask(served, COUNTY, "ImportDutyList", request)
    assert commits == [len(example_items()) + 1]
    assert huying(VILLAGE, "duty", "versions", "--json").json["versions"][0]["items_held"] == 340


def test_a_list_larger_than_one_commit_is_refused(served: ServedNetwork) -> None:
    """The message says the limit, and nothing of the list is written."""
    before = size(served)
    too_many = items(*(f"K{n}" for n in range(DUTY_ITEMS_MAX + 1)))
    with pytest.raises(HuyingError, match="the limit is 1023") as caught:
        ask(served, COUNTY, "ImportDutyList", duty_pb2.ImportDutyListRequest(items=too_many))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert size(served) == before
    largest = duty_pb2.ImportDutyListRequest(items=too_many[:-1])
    assert ask(served, COUNTY, "ImportDutyList", largest).list.item_count == DUTY_ITEMS_MAX


@pytest.mark.parametrize("wrong", [[], items("1", "1"), items("A", "a"), items("1", "")])
def test_a_list_that_no_table_gives_is_refused_whole(
    served: ServedNetwork, wrong: list[policy_pb2.DutyItem]
) -> None:
    """The desk does not trust the command line that asks it."""
    before = size(served)
    with pytest.raises(HuyingError):
        ask(served, COUNTY, "ImportDutyList", duty_pb2.ImportDutyListRequest(items=wrong))
    assert size(served) == before


def test_a_village_writes_no_list(huying: Run, served: ServedNetwork, file: Path) -> None:
    """Its rules are those of the tiers above."""
    before = size(served, VILLAGE)
    assert huying(VILLAGE, "duty", "import", str(file)).code != 0
    assert size(served, VILLAGE) == before


def test_the_version_before_stays_in_force_until_all_items_are_here(served: ServedNetwork) -> None:
    """A header that overtakes its items, or items that were withheld, must not empty the list."""
    request = duty_pb2.ImportDutyListRequest(title="甲", items=items("1", "2"))
    ask(served, COUNTY, "ImportDutyList", request)
    item = items("1")[0]
    item.version = 2
    header = policy_pb2.DutyList(version=2, title="乙", item_count=2)

    def draft(kind: int, message: Any, record: bytes) -> DraftEntry:
        to = default_to(kind, COUNTY, message)
        return DraftEntry(feed_pb2.KIND_PUT, kind, message, record, to)

    async def write(*drafts: DraftEntry) -> None:
        await served.runtimes[COUNTY].append(drafts)

    put = served.thread.run
    put(write(draft(feed_pb2.RECORD_TYPE_DUTY_LIST, header, b"h" * 16)))
    put(write(draft(feed_pb2.RECORD_TYPE_DUTY_ITEM, item, b"i" * 16)))
    shown = ask(served, TOWN, "ListDutyItems", duty_pb2.ListDutyItemsRequest())
    assert (shown.list.version, len(shown.items)) == (1, 2)
    versions = ask(served, TOWN, "ListDutyVersions", duty_pb2.ListDutyVersionsRequest()).versions
    assert [(one.version, one.items_held, one.in_force) for one in versions] == [
        (2, 1, False), (1, 2, True),
    ]  # fmt: skip
    item.number = "2"
    put(write(draft(feed_pb2.RECORD_TYPE_DUTY_ITEM, item, b"j" * 16)))
    shown = ask(served, TOWN, "ListDutyItems", duty_pb2.ListDutyItemsRequest())
    assert (shown.list.version, len(shown.items)) == (2, 2)


def test_faulty_rows_are_skipped_or_stop_everything(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """As the user chose; either way every faulty row is named."""
    file.write_text(LIST + "3,共担,,,,,\n4,无此,甲,,,,\n", "utf-8")
    before = size(served)
    stopped = huying(COUNTY, "duty", "import", str(file))
    assert (stopped.code, size(served)) == (EXIT_USAGE, before)
    assert stopped.err.startswith("错误:表格有误,没有导入任何内容")
    assert "第 4 行「事项名称」" in stopped.err
    assert "第 5 行「清单类型」" in stopped.err
    skipped = huying(COUNTY, "duty", "import", str(file), "--on-error", "skip", "--json").json
    assert (skipped["items"], skipped["rejected_rows"]) == (2, 2)
    assert [error["row"] for error in skipped["errors"]] == [4, 5]


def test_an_unread_file_is_said_in_chinese_first(huying: Run, tmp_path: Path) -> None:
    """The operator is not the developer."""
    (tmp_path / "bad.xlsx").write_bytes(b"PK\x03\x04nothing")
    result = huying(COUNTY, "duty", "import", str(tmp_path / "bad.xlsx"))
    assert result.code == EXIT_USAGE
    assert result.err.splitlines()[0].startswith("错误:工作簿已损坏或不完整")


def test_what_is_exported_is_imported_as_the_same_list(
    huying: Run, file: Path, tmp_path: Path
) -> None:
    """The way to change a list is to export it, edit it and import it."""
    huying(COUNTY, "duty", "import", str(file))
    assert huying(TOWN, "duty", "export", "-o", str(tmp_path / "out.xlsx")).code == 0
    again = huying(COUNTY, "duty", "import", str(tmp_path / "out.xlsx"), "--json").json
    assert [again[key] for key in ("added", "changed", "removed")] == [0, 0, 0]


def test_the_example_is_marked_wherever_it_is_shown(huying: Run, tmp_path: Path) -> None:
    """Nobody may take generated duties for a county's own."""
    assert huying(COUNTY, "duty", "example", "-o", str(tmp_path / "e.csv")).code == 0
    done = huying(COUNTY, "duty", "import", str(tmp_path / "e.csv"), "--title", "清单")
    assert "示例数据 · generated example" in done.out
    listed = huying(TOWN, "duty", "list", "--json").json
    assert listed["list"]["generated"]
    assert all(item["generated"] for item in listed["items"])
    for command in (("list",), ("show", "S1"), ("versions",), ("suggest", "--category", "供水")):
        shown = huying(TOWN, "duty", *command)
        assert "示例数据" in shown.out + shown.err, command


def test_lists_are_narrowed_by_department_kind_and_text(huying: Run, file: Path) -> None:
    """A co-handler has a duty, too."""
    huying(COUNTY, "duty", "import", str(file))

    def found(*options: str) -> list[str]:
        return [
            one["number"] for one in huying(TOWN, "duty", "list", *options, "--json").json["items"]
        ]

    assert found("--department", "财政局") == ["S1"]
    assert found("--kind", "town") == []
    assert found("--search", "停水") == ["S2"]


def test_departments_that_were_never_entered_are_named(huying: Run, file: Path) -> None:
    """A typing error in a department's name would dispatch to nobody."""
    assert huying(COUNTY, "duty", "import", str(file), "--json").json["unknown_departments"] == []
    put = ("record", "put", "department", "--field", "name=交通局")
    assert huying(COUNTY, *put).code == 0
    file.write_text(LIST + "3,共担,丙,,,交通局,\n", "utf-8")
    again = huying(COUNTY, "duty", "import", str(file), "--json").json
    assert again["unknown_departments"] == ["水务局", "财政局"]


def test_a_call_is_suggested_by_what_it_says(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """By the list of the node that answers, whoever asks."""
    huying(COUNTY, "duty", "import", str(file))
    raised = calls_pb2.Call(sequencer=COUNTY, category="道路", title="村口坑洼")
    with served.client(TOWN) as client:
        call = client.raise_call(api_pb2.RaiseCallRequest(call=raised)).call.hex()
    for code in (COUNTY, TOWN):
        found = huying(code, "duty", "suggest", "--call", call, "--json").json
        assert found["list"]["home"] == COUNTY
        (best,) = found["suggestions"]
        assert (best["item"]["number"], best["item"]["lead"], best["points"]) == (
            "S1",
            "交通局",
            120,
        )
        assert [reason["word"] for reason in best["reasons"]] == ["道路", "坑洼"]
    assert huying(COUNTY, "duty", "suggest", "--call", "00" * 16).code != 0


def raised(served: ServedNetwork, **fields: str) -> str:
    """A call of the town, taken by the county."""
    with served.client(TOWN) as client:
        call = calls_pb2.Call(sequencer=COUNTY, **fields)  # type: ignore[arg-type]
        return client.raise_call(api_pb2.RaiseCallRequest(call=call)).call.hex()


def dispatched(served: ServedNetwork, call: str) -> calls_pb2.Dispatch:
    """What the newest dispatch of a call says, as the town reads it."""
    with served.client(TOWN) as client:
        view = client.get_call(api_pb2.GetCallRequest(call=bytes.fromhex(call)))
    return [one.step.dispatch for one in view.steps if one.step.HasField("dispatch")][-1]


def test_a_dispatch_takes_its_departments_from_the_item_that_it_cites(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """Nobody types a department again that the list names, and the call says by which version."""
    huying(COUNTY, "duty", "import", str(file))
    call = raised(served, category="道路", title="村口")
    done = huying(COUNTY, "call", "dispatch", call, "--item", "s1")
    assert done.code == 0, done.err
    assert "道路维修" in done.err
    found = dispatched(served, call)
    assert (found.department, list(found.co_handlers)) == ("交通局", ["财政局"])
    assert (found.duty_item, found.duty_version) == ("S1", 1)


def test_a_dispatch_by_suggestion_says_why(huying: Run, served: ServedNetwork, file: Path) -> None:
    """The person who dispatches answers for it, so the reasons come first."""
    huying(COUNTY, "duty", "import", str(file))
    call = raised(served, category="供水", title="停水三天")
    done = huying(COUNTY, "call", "dispatch", call, "--suggested")
    assert done.code == 0, done.err
    assert "类别相符「供水」" in done.err
    assert (dispatched(served, call).department, dispatched(served, call).duty_item) == (
        "水务局",
        "S2",
    )
    none = raised(served, category="别的", title="无关")
    refused = huying(COUNTY, "call", "dispatch", none, "--suggested")
    assert refused.code == EXIT_USAGE
    assert "no item of a duty list matches" in refused.err


def test_another_lead_than_the_items_is_taken_and_said(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """The centre may know better; it must not happen by a slip."""
    huying(COUNTY, "duty", "import", str(file))
    call = raised(served, category="道路", title="村口")
    done = huying(COUNTY, "call", "dispatch", call, "--item", "S1", "--department", "公路局")
    assert done.code == 0, done.err
    assert "清单写明由 交通局 主办,现派给 公路局" in done.err
    found = dispatched(served, call)
    assert (found.department, found.duty_item) == ("公路局", "S1")
    assert not found.co_handlers


def test_an_item_without_a_lead_dispatches_to_nobody(
    huying: Run, served: ServedNetwork, file: Path
) -> None:
    """It is the town's own duty: the centre names somebody, or declines."""
    file.write_text(HEADER + "1,乡镇履职,村道管护,道路,,,\n", "utf-8")
    huying(COUNTY, "duty", "import", str(file))
    call = raised(served, category="道路", title="村口")
    for option in (("--item", "T1"), ("--suggested",)):
        refused = huying(COUNTY, "call", "dispatch", call, *option)
        assert refused.code == EXIT_USAGE
        assert "the item names no lead" in refused.err
    assert huying(COUNTY, "call", "dispatch", call, "--item", "X9").code != 0


def test_nothing_matching_says_that_an_approval_is_needed(huying: Run, file: Path) -> None:
    """Off-list tasks are for the centre to approve, where the policy asks for it."""
    assert huying(TOWN, "duty", "suggest", "--category", "x", "--json").json["list"] is None
    huying(COUNTY, "duty", "import", str(file))
    found = huying(TOWN, "duty", "suggest", "--category", "x", "--json").json
    assert (found["suggestions"], found["off_list"]) == ([], True)
    shown = huying(TOWN, "duty", "suggest", "--category", "x")
    assert "清单中没有相符的事项" in shown.err
    assert ("off-list" in shown.err) is found["item_required"]
    assert huying(TOWN, "duty", "suggest").code == EXIT_USAGE


def test_what_is_not_there_is_named(huying: Run, file: Path) -> None:
    """Which list, which version, which number."""
    none = huying(TOWN, "duty", "list")
    assert none.code != 0
    assert f"no duty list of {TOWN} or {COUNTY}" in none.err
    huying(COUNTY, "duty", "import", str(file))
    assert "has no item" in huying(TOWN, "duty", "show", "S9").err
    assert "version 7" in huying(TOWN, "duty", "list", "--version", "7").err
