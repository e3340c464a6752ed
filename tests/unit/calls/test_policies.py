"""Policies and calendars: files that say what is wrong, versions that follow each other."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.limits import CALENDAR_DATES_MAX, ENTRY_BYTES_MAX, POLICY_FILE_BYTES_MAX
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.policy_checks import check_calendar, check_policy
from huying.hub.cli import app
from huying.hub.desk import POLICIES, policies
from huying.hub.policy_file import (
    PERIOD_UNITS,
    format_calendar,
    format_policy,
    parse_calendar,
    parse_policy,
)
from huying.hub.toml_lines import line_of
from huying.node.admin import AdminNode
from huying.node.api.drafts import parse_draft
from huying.node.cli.main import execute
from huying.wire.v1 import api_pb2, feed_pb2, policy_desk_pb2, policy_pb2
from tests.support.enrolled import make_node
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN

NAME = "policy.toml"


def policy(version: int = 1) -> policy_pb2.Policy:
    made = shipped_policy()
    made.version = version
    return made


def calendar(version: int = 1) -> policy_pb2.Calendar:
    made = shipped_calendar()
    made.version = version
    return made


# --- the files -----------------------------------------------------------------------------------


def test_what_is_shown_is_read_back_as_it_was():
    """People change one line of what is in force, and set it."""
    assert parse_policy(format_policy(policy()), NAME) == policy()
    assert parse_calendar(format_calendar(calendar()), NAME) == calendar()


periods = st.builds(
    policy_pb2.Period,
    amount=st.integers(1, 10_000),
    unit=st.sampled_from(sorted(PERIOD_UNITS.values())),
)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_policy_that_passes_the_check_is_read_back(data):
    """A title with quotes, one hour, ten thousand days: nothing is lost on the way."""
    made = policy(data.draw(st.integers(1, 2**31 - 1)))
    printable = st.characters(categories=("L", "N", "P", "S"))
    made.title = data.draw(st.text(printable, max_size=40))
    for limits in made.limits:
        for clock in ("admit", "accept", "answer"):
            getattr(limits, clock).CopyFrom(data.draw(periods))
    for window in ("supplement", "confirm", "reopen", "extension", "yellow"):
        getattr(made, window).CopyFrom(data.draw(periods))
    made.red.CopyFrom(made.yellow)
    assert check_policy(made) == []
    assert parse_policy(format_policy(made), NAME) == made


def faults(text: str, read=parse_policy) -> list[str]:
    """What is said of a file, one line each, as "12: field: ..."."""
    with pytest.raises(HuyingError) as caught:
        read(text, NAME)
    assert caught.value.code is Code.INVALID_ARGUMENT
    lines = caught.value.detail.split("\n")
    assert all(line.startswith(f"{NAME}:") for line in lines)
    return [line.removeprefix(f"{NAME}:") for line in lines]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = true", "version"),
        ("version = 1", 'version = "1"', "version"),
        ("version = 1", "version = 99999999999999999999", "version"),
        ('red = "3 working_days"', 'red = "3 weeks"', "red"),
        ('red = "3 working_days"', 'red = "0 working_days"', "red"),
        ('red = "3 working_days"', 'red = "20000 working_days"', "red"),
        ('red = "3 working_days"', "red = 3", "red"),
        ('yellow = "1 working_day"', 'yellow = "9 working_days"', "red"),
        ("objections_max = 2", "objections_max = 101", "objections_max"),
        ("objections_max = 2", "objections_max = -1", "objections_max"),
        ("satisfied_stars_min = 4", "satisfied_stars_min = 6", "satisfied_stars_min"),
        ("rating_weight_percent = 30", "rating_weight_percent = 101", "rating_weight_percent"),
        ("item_required = false", "item_required = 0", "item_required"),
        ('answer = "24 hours"', 'answer = "24"', "limits.critical.answer"),
        ('answer = "24 hours"', 'anwser = "24 hours"', "limits.critical.anwser"),
        ("[limits.urgent]", "[limits.hasty]", "limits.hasty"),
        ("objections_max = 2", "objection_max = 2", "objection_max"),
    ],
)
def test_a_fault_in_a_policy_is_named_with_its_field_and_its_line(old, new, field):
    """Whoever mends the file should not have to search it."""
    text = format_policy(policy())
    assert old in text
    changed = text.replace(old, new)
    found = [line for line in faults(changed) if f" {field}: " in line]
    assert len(found) == 1
    if old != 'yellow = "1 working_day"':
        line = next(n for n, each in enumerate(changed.split("\n"), 1) if new in each)
        assert found[0].startswith(f"{line}: ")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"2026-02-28"', '"2026-02-30"', "workdays"),
        ('"2026-02-28"', '"2026-2-28"', "workdays"),
        ('"2026-02-28"', '"2026-02-27"', "workdays"),  # a Friday
        ('"2026-02-28"', '"2026-02-22"', "workdays"),  # a holiday, too
        ('"2026-02-28"', '"2026-02-14"', "workdays"),  # twice
        ('"2026-02-28"', "3", "workdays"),
        ('"2026-05-01..2026-05-05"', '"2026-05-05..2026-05-01"', "holidays"),
        ('"2026-05-01..2026-05-05"', '"0001-05-01..9999-05-05"', "holidays"),
        ('"2026-05-01..2026-05-05"', '"1999-05-03"', "holidays"),
        ('"08:30-12:00"', '"8:30-12:00"', "hours"),
        ('"08:30-12:00"', '"12:00-08:30"', "hours"),
        ('"08:30-12:00"', '"08:30-14:00"', "hours"),
        ('"13:30-17:30"', '"13:30-24:01"', "hours"),
        ("utc_offset_minutes = 480", "utc_offset_minutes = 4800", "utc_offset_minutes"),
    ],
)
def test_a_fault_in_a_calendar_is_named_with_its_field_and_its_line(old, new, field):
    """A wrong holiday moves the deadline of every call."""
    text = format_calendar(calendar())
    assert old in text
    changed = text.replace(old, new)
    found = faults(changed, parse_calendar)
    assert found
    assert all(f" {field}: " in line for line in found)
    section = next(n for n, each in enumerate(changed.split("\n"), 1) if each.startswith(field))
    exact = [n for n, each in enumerate(changed.split("\n"), 1) if new in each]
    assert int(found[0].split(":")[0]) in (section, *exact)


def test_every_fault_of_a_file_is_said_at_once():
    """Mending one to hear of the next is how a morning goes."""
    text = format_policy(policy()).replace("version = 1", "version = 0")
    text = text.replace('red = "3 working_days"', 'red = "x"').replace("[limits.urgent]", "[x]")
    assert len(faults(text)) == 4  # version, red, the missing urgency, the unknown section


def test_what_is_no_toml_is_said_with_its_line():
    """The parser's own words name line and column."""
    (said,) = faults("version = \n")
    assert re.search(r"line 1", said)
    assert faults("[" * 5000)


def test_a_missing_line_is_placed_at_its_section():
    """There is no line of it to name; the nearest is where it belongs."""
    text = format_policy(policy()).replace('answer = "24 hours"\n', "")
    (said,) = faults(text)
    heading = text.split("\n").index("[limits.critical]") + 1
    assert said.startswith(f"{heading}: limits.critical.answer: missing")


def test_keys_are_found_below_headings_and_in_dotted_form():
    """The line is a help; where it can't be told, it is the nearest that encloses the key."""
    text = "a = 1\n[s]\nb = 2\nc.d = [\n  'x',\n  'y',\n]\n"
    assert line_of(text, "a") == 1
    assert line_of(text, "s.b") == 3
    assert line_of(text, "s.c.d") == 4
    assert line_of(text, "s.c.d", "y") == 6
    assert line_of(text, "s.c.d", "z") == 4
    assert line_of(text, "s.e") == 2
    assert line_of(text, "nowhere") == 1


def test_the_fullest_calendar_fits_into_an_entry():
    """The limit is there so that it does; one date more is refused."""
    full = calendar()
    full.title = "日" * 200
    del full.workdays[:]
    days = [
        f"20{year:02}-{month:02}-{day:02}"
        for year in range(26, 30)
        for month in range(1, 13)
        for day in range(1, 29)
    ]
    full.holidays[:] = days[:CALENDAR_DATES_MAX]
    assert check_calendar(full) == []
    assert full.ByteSize() < ENTRY_BYTES_MAX - 1024
    full.holidays.append(days[CALENDAR_DATES_MAX])
    assert [fault.field for fault in check_calendar(full)] == ["holidays"]


def test_the_shipped_ones_have_no_fault_but_their_version():
    """What a county begins with must be something that it could set."""
    assert [fault.field for fault in check_policy(shipped_policy())] == ["version"]
    assert [fault.field for fault in check_calendar(shipped_calendar())] == ["version"]
    assert check_policy(policy()) == check_calendar(calendar()) == []


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture
def own_log() -> Iterator[None]:
    """What is set up while a test captures must not outlive what it captures to."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_log")
def test_what_show_prints_is_a_file_that_set_takes(tmp_path, capfd, monkeypatch):
    """Without a running node as well; what is wrong is said, and nothing is written."""
    node = make_node(tmp_path / COUNTY, COUNTY)
    monkeypatch.setenv("HUYING_API__LISTEN", "127.0.0.1:1")  # nobody serves there

    def run(*words: str) -> tuple[int, str, str]:
        code = execute(app(), ["--config", str(node.config.file), *words])
        said = capfd.readouterr()
        return code, said.out, said.err

    for group in ("policy", "calendar"):
        code, text, _ = run(group, "show")
        assert code == 0
        file = tmp_path / f"{group}.toml"
        file.write_text(text.replace("version = 0", "version = 1"), encoding="utf-8")
        code, out, _ = run(group, "set", str(file), "--json")
        assert code == 0
        assert json.loads(out)["version"] == 1
        code, out, _ = run(group, "history", "--json")
        assert [one["version"] for one in json.loads(out)["versions"]] == [1]
        code, out, _ = run(group, "show", "--json")
        assert json.loads(out)["in_force"] is True
        file.write_bytes(b"\xff")
        code, out, err = run(group, "set", str(file))
        assert (code, out) == (2, "")
        assert "not UTF-8" in err
        file.write_bytes(b"#" * (POLICY_FILE_BYTES_MAX + 1))
        assert run(group, "set", str(file))[0] == 2
        assert run(group, "set", str(tmp_path / "absent"))[0] == 2
        assert run(group, "show", "--version", "9")[0] == 5


# --- the desk ------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[ServedNetwork]:
    made = ServedNetwork(tmp_path, monkeypatch)
    yield made
    made.close()


class People:
    """Who asks at a node's desk."""

    def __init__(self, served: ServedNetwork, code: str) -> None:
        self._served = served
        self.node = AdminNode(
            served.configs[code],
            served.runtimes[code],  # type: ignore[arg-type]
            served.readers[code],
            None,  # type: ignore[arg-type]
        )

    def ask(self, method: str, request):
        async def asked():
            return await POLICIES.handler(method)(self.node, request)

        return self._served.thread.run(asked())

    def set_policy(self, made: policy_pb2.Policy):
        return self.ask("SetPolicy", policy_desk_pb2.SetPolicyRequest(policy=made))

    def show_policy(self, **request):
        return self.ask("ShowPolicy", policy_desk_pb2.ShowVersionRequest(**request))


def test_a_version_that_is_set_is_in_force_here_and_below(served):
    """The town reads what it is held to, without asking anybody."""
    county, town = People(served, COUNTY), People(served, TOWN)
    assert county.show_policy().policy == shipped_policy()
    assert town.show_policy().of == TOWN
    made = policy()
    made.title = "2026年时限"
    answer = county.set_policy(made)
    assert (answer.version, answer.repeated_before) == (1, False)
    for people in (county, town):
        shown = people.show_policy()
        assert (shown.of, shown.in_force, shown.policy) == (COUNTY, 1, made)
    assert town.show_policy(of=TOWN).policy == shipped_policy()
    assert county.show_policy(version=0).policy == shipped_policy()
    with pytest.raises(HuyingError) as caught:
        county.show_policy(version=2)
    assert caught.value.code is Code.NOT_FOUND


def test_versions_follow_each_other_without_a_gap(served):
    """A call names a version; it must be one of a line that everybody can follow."""
    county = People(served, COUNTY)
    for version in (0, 2, 7):
        with pytest.raises(HuyingError) as caught:
            county.set_policy(policy(version))
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert caught.value.detail.startswith("version: ")
    county.set_policy(policy(1))
    county.set_policy(policy(2))
    with pytest.raises(HuyingError):
        county.set_policy(policy(1))
    history = county.ask("PolicyHistory", policy_desk_pb2.VersionHistoryRequest())
    assert [one.version for one in history.versions] == [2, 1]
    assert all(one.time_micros and one.title for one in history.versions)


def test_setting_the_same_again_changes_nothing_and_something_else_is_refused(served):
    """A clerk who was cut off asks again; a colleague who was faster is not written over."""
    county = People(served, COUNTY)
    first = county.set_policy(policy())
    again = county.set_policy(policy())
    assert (again.index, again.repeated_before) == (first.index, True)
    other = policy()
    other.reopens_max = 5
    with pytest.raises(HuyingError) as caught:
        county.set_policy(other)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert county.show_policy().policy == policy()


def test_of_two_who_set_a_version_at_once_one_does_and_the_other_is_told(served, monkeypatch):
    """Both read the version in force before either wrote."""
    county = People(served, COUNTY)
    other = policy()
    other.reopens_max = 5
    county.set_policy(policy())
    stale = shipped_policy()
    monkeypatch.setattr(
        type(county.node.reader),
        "policy",
        lambda _self, _of, version=None: policy() if version == 1 else stale,
    )

    async def both() -> list[object]:
        request = policy_desk_pb2.SetPolicyRequest(policy=other)
        return list(
            await asyncio.gather(policies.set_policy(county.node, request), return_exceptions=True)
        )

    (refused,) = served.thread.run(both())
    assert isinstance(refused, HuyingError)
    assert "set by somebody else" in refused.detail
    monkeypatch.undo()
    assert county.show_policy().policy == policy()


def test_the_desk_checks_what_a_program_sends_as_it_checks_a_file(served):
    """Not everybody comes by the command line."""
    county = People(served, COUNTY)
    bad = policy()
    bad.red.unit = policy_pb2.PERIOD_UNIT_UNSPECIFIED
    with pytest.raises(HuyingError, match="red: must be there"):
        county.set_policy(bad)
    request = policy_desk_pb2.SetCalendarRequest(calendar=calendar())
    request.calendar.holidays.append("tomorrow")
    with pytest.raises(HuyingError, match="holidays: not a date"):
        county.ask("SetCalendar", request)
    for record_type in (feed_pb2.RECORD_TYPE_POLICY, feed_pb2.RECORD_TYPE_CALENDAR):
        draft = api_pb2.Draft(kind=feed_pb2.KIND_PUT, type=record_type)
        with pytest.raises(HuyingError) as caught:
            parse_draft(draft, COUNTY)
        assert caught.value.code is Code.TYPE_NOT_ALLOWED


def test_a_calendar_goes_the_same_way(served):
    """Shown, set, listed, and read by the town below."""
    county, town = People(served, COUNTY), People(served, TOWN)
    made = calendar()
    made.holidays.append("2027-01-01")
    county.ask("SetCalendar", policy_desk_pb2.SetCalendarRequest(calendar=made))
    shown = town.ask("ShowCalendar", policy_desk_pb2.ShowVersionRequest())
    assert (shown.of, shown.calendar) == (COUNTY, made)
    listed = town.ask("CalendarHistory", policy_desk_pb2.VersionHistoryRequest(of=COUNTY))
    assert [one.version for one in listed.versions] == [1]


def test_a_call_that_names_a_lost_version_is_reckoned_by_the_one_before_it(served):
    """Its steps must go on, whatever became of the record."""
    county = People(served, COUNTY)
    county.set_policy(policy(1))
    reader = served.readers[COUNTY]
    assert reader.policy(COUNTY, 5).version == 1
    assert reader.policy(COUNTY, 0).version == 0
    assert reader.policy(TOWN).version == 0
