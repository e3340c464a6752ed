"""Who is bound to a grid learns nothing of the other grids: not by a form, a sheet or a count.

Whether an ID number is known in the village is knowledge about a person. Somebody who may try
numbers, one by one or a file of them, must be answered as if the other grids were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.ledger_desk import (
    FIRST,
    ID_NUMBER,
    SECOND,
    append,
    grids,
    household,
    resident,
)
from tests.unit.console.sheet_desk import OTHER_ID, confirm, csv_of, people, row, upload

FREE_ID = "110101199003074012"  # that nobody has


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("grids"), patch)
        grids(served)
        yield served
        served.close()


@pytest.fixture(scope="module")
def homes(network: ServedNetwork) -> tuple[bytes, bytes]:
    """A household of the first grid, and one of the second where somebody has ID_NUMBER."""
    first, second = append(network, household("10"), household("20", SECOND))
    append(network, resident(second, "别格的人", SECOND))
    return first, second


@pytest.fixture
def site(network: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(network, VILLAGE) as console:
        console.sign_in("worker", login="grid-one", area=FIRST)
        yield console


def enter(site: ConsoleUnderTest, home: bytes, name: str, id_number: str) -> Any:
    page = site.get(f"/ledger/households/{home.hex()}/add")
    return site.fill(page, "/add", name=name, id_number=id_number)


def told(page: Any) -> str:
    """What a page says, apart from what every page has of its own."""
    return text_of(page.text).partition("页面时间")[0]


def test_a_number_of_another_grid_is_entered_as_any_other(
    network: ServedNetwork, site: ConsoleUnderTest, homes: tuple[bytes, bytes]
) -> None:
    """A refusal would answer the question who is registered where the worker may not look."""
    first, _ = homes
    known = enter(site, first, "甲", ID_NUMBER)
    free = enter(site, first, "乙", FREE_ID)
    assert (known.status_code, free.status_code) == (303, 303)
    assert known.headers["Location"] == free.headers["Location"]
    # Within the own grid one person is still entered once.
    again = enter(site, first, "丙", FREE_ID)
    assert again.status_code == 400
    assert "已有人用这个身份证号" in again.text


def test_changing_a_number_to_one_of_another_grid_tells_nothing(
    network: ServedNetwork, site: ConsoleUnderTest, homes: tuple[bytes, bytes]
) -> None:
    """The form that changes a resident is the same question."""
    first, _ = homes
    number = "110101197001010016"
    (other,) = append(network, household("50", SECOND))
    append(network, resident(other, "另一个", SECOND, id_number=number))
    (mine,) = append(network, resident(first, "改号", id_number=""))
    page = site.get(f"/ledger/residents/{mine.hex()}")
    assert site.fill(page, mine.hex(), id_number=number).status_code == 303


def test_a_sheet_of_numbers_is_answered_as_if_the_other_grids_were_not_there(
    network: ServedNetwork, site: ConsoleUnderTest, homes: tuple[bytes, bytes]
) -> None:
    """A file of ten thousand numbers would be a list of who lives in the village."""
    (other,) = append(network, household("30", SECOND))
    append(network, resident(other, "另一格", SECOND, id_number=OTHER_ID))
    pages = [
        upload(site, "名单.csv", csv_of(row("11", "查一查", 身份证号=number)))
        for number in (OTHER_ID, "110101199003070054")
    ]
    known, free = (told(page) for page in pages)
    assert known == free
    assert "1 人新增" in known
    confirm(site, pages[0])
    # By household number neither: 30 is another household in this grid.
    same = told(upload(site, "户号.csv", csv_of(row("30", "同户号"))))
    assert "1 户新增" in same


def test_the_village_is_shown_who_was_entered_twice(
    network: ServedNetwork, site: ConsoleUnderTest, homes: tuple[bytes, bytes]
) -> None:
    """What a worker may not be told, somebody must be: or one person is two for good."""
    (mine,) = append(network, household("40"))
    number = "110101198001010010"
    (place,) = append(network, household("41", SECOND))
    append(network, resident(place, "双份的人", SECOND, id_number=number))
    assert enter(site, mine, "双份的人", number).status_code == 303
    assert "不止一次" not in site.get("/ledger").text
    site.sign_in("village_clerk")
    page = site.get("/ledger")
    assert "同一个身份证号登记了不止一次" in page.text
    assert number not in page.text
    assert f"/ledger/households/{mine.hex()}" in page.text
    assert "双份的人(户号 41,第二网格)" in text_of(page.text)
    # Whoever has the whole village is refused as before: they may know.
    refused = enter(site, mine, "再来", number)
    assert refused.status_code == 400
    assert people(network)["双份的人"]


def test_moving_somebody_reaches_no_household_of_another_grid(
    network: ServedNetwork, site: ConsoleUnderTest, homes: tuple[bytes, bytes]
) -> None:
    """迁户 finds households by words: it must not become the search of the whole village."""
    first, second = homes
    (mine,) = append(network, resident(first, "要搬的", id_number=""))
    page = site.get(f"/ledger/residents/{mine.hex()}/move", params={"q": "户主20"})
    nothing = site.get(f"/ledger/residents/{mine.hex()}/move", params={"q": "户主99"})
    assert second.hex() not in page.text
    assert told(page).replace("户主20", "") == told(nothing).replace("户主99", "")
    fields = {"request_id": "cd" * 16, "version": "0"}
    moves = [
        site.post(f"/ledger/residents/{mine.hex()}/move/to", {**fields, "to": to})
        for to in (second.hex(), "ef" * 16)
    ]
    assert [move.status_code for move in moves] == [404, 404]
    assert told(moves[0]) == told(moves[1])
