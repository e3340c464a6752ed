"""The table of docs/ASVS.md, held to OWASP's numbers, to our tests, and to our pages."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.unit.docs.test_doc_links import functions_of

PAGE = ROOT / "docs" / "ASVS.md"
VERDICTS = {"test", "N/A", "open"}
HERE = "test_documents_say_what_rows_rest_on"

# Section -> how many requirements of level 1 and 2 it has in ASVS 5.0.0. Within a section they are
# numbered from 1, and those of level 3 come last.
SECTIONS = dict(
    re.findall(
        r"(\S+):(\d+)",
        """
        1.1:2 1.2:9 1.3:11 1.4:3 1.5:2
        2.1:3 2.2:3 2.3:4 2.4:1
        3.2:2 3.3:4 3.4:6 3.5:5 3.7:2
        4.1:3 4.2:1 4.3:2 4.4:4
        5.1:1 5.2:3 5.3:2 5.4:3
        6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4
        7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2
        8.1:2 8.2:3 8.3:1 8.4:1
        9.1:3 9.2:4
        10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3
        11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1
        12.1:3 12.2:2 12.3:4
        13.1:1 13.2:5 13.3:2 13.4:5
        14.1:2 14.2:4 14.3:3
        15.1:3 15.2:3 15.3:7
        16.1:1 16.2:5 16.3:4 16.4:3 16.5:3
        17.1:1 17.2:4 17.3:2
        """,
    )
)
NUMBERS = [
    f"{section}.{n}" for section, count in SECTIONS.items() for n in range(1, int(count) + 1)
]

# Requirement about documentation -> page, and words that stand in it.
DOCUMENTED = {
    "2.1.2": ("DISCLOSURE.md", "### Rules"),
    "5.1.1": ("CONSOLE.md", "**Files.** Up to three pictures or PDF files"),
    "6.1.1": ("ACCOUNTS.md", "Tries are slowed down, and nobody is locked out for good."),
    "6.1.2": ("ACCOUNTS.md", "the login, the person's and the"),
    "6.1.3": ("ACCOUNTS.md", "Its word counts as the password does"),
    "6.2.10": ("ACCOUNTS.md", "no expiry, no hints, no security questions"),
    "6.4.4": ("ACCOUNTS.md", "is dropped by `user reset --factor`"),
    "6.8.4": ("ACCOUNTS.md", "strongly it proved who somebody is"),
    "7.1.1": ("ACCOUNTS.md", "It ends after 30 minutes without a request"),
    "7.1.2": ("ACCOUNTS.md", "`SESSIONS_MAX`"),
    "7.1.3": ("ACCOUNTS.md", "signing out of the console signs nobody out of the provider"),
    "7.6.1": ("ACCOUNTS.md", "lives by the times below"),
    "8.1.1": ("ACCOUNTS.md", "## Roles"),
    "8.1.2": ("FEED.md", "## Reach"),
    "11.1.1": ("FEED.md", "**Certificates and sealing keys.**"),
    "11.1.2": ("OPERATIONS.md", "One list of every algorithm"),
    "13.1.1": ("OPERATIONS.md", "## Ports"),
    "14.1.1": ("CONSOLE.md", "| what is filled in | who sees it |"),
    "14.1.2": ("CONSOLE.md", "ID and phone numbers are in no list, no title and no address"),
    "15.1.1": ("OPERATIONS.md", "or lets anybody in who reaches a port or sends a file | 3 days |"),
    "15.1.3": ("CONSOLE.md", "`CALL_SCAN_SECONDS_MAX`"),
    "16.1.1": ("OPERATIONS.md", "| log | where | what is in it |"),
}


def rows() -> list[list[str]]:
    """The cells of every row: number or range, words, verdict, what shows it."""
    lines = PAGE.read_text("utf-8").split("\n")
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if re.match(r"\| \d", line)
    ]


def numbers(cell: str) -> list[str]:
    """The requirements of a row, also of a range, which may go over several sections."""
    first, _, last = cell.partition("–")
    start = NUMBERS.index(first)
    return NUMBERS[start : NUMBERS.index(last or first) + 1]


def test_every_requirement_of_level_1_and_2_has_one_row() -> None:
    """A gap in the list would be taken for a promise."""
    assert len(NUMBERS) == 253
    found = Counter(number for row in rows() for number in numbers(row[0]))
    assert [number for number in NUMBERS if found[number] != 1] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_has_one_of_three_verdicts_and_says_why(row: list[str]) -> None:
    """A test that exists, a reason, or what is missing."""
    _, words, verdict, shown = row
    assert verdict in VERDICTS
    assert words
    cited = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    if verdict == "test":
        assert cited, "no test is named"
    else:
        assert len(shown) > 5, "no reason"
        assert not cited
    for module, name in cited:
        assert (ROOT / module).is_file(), module
        assert name in functions_of(ROOT / module), f"{module} has no {name}"


@pytest.mark.parametrize("requirement", DOCUMENTED)
def test_documents_say_what_rows_rest_on(requirement: str) -> None:
    """A row about documentation rests on words that stand there."""
    page, words = DOCUMENTED[requirement]
    assert words in Path(ROOT / "docs" / page).read_text("utf-8")


def test_rows_about_documents_are_those_that_are_looked_up() -> None:
    """No row leans on the test above without words of its own."""
    leaning = {row[0] for row in rows() if HERE in row[3]}
    assert leaning == set(DOCUMENTED)
