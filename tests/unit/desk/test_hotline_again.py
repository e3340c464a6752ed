"""Orders that are imported again: whatever comes twice, or in pieces, ends in the same orders.

The hotline's files overlap, and a clerk who is unsure imports once more. That must write nothing
where nothing is new, and never bring back what was erased.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.limits import COMMIT_ENTRIES_MAX, ORDER_COMPARISONS_MAX
from huying.wire.v1 import hotline_pb2 as pb
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.support.trusted_network import OTHER
from tests.unit.desk.hotline_network import (
    CHANGED,
    CREATED,
    ERASED,
    FIRST,
    NEW,
    PHONE,
    REFUSED,
    SAME,
    HotlineNetwork,
    order,
    outcomes,
)


def test_the_same_content_again_writes_nothing(net: HotlineNetwork) -> None:
    """A nightly job imports the same export for months."""
    net.imports(order(1), order(2))
    size = net.size()
    assert outcomes(net.imports(order(1), order(2))) == [SAME, SAME]
    assert net.size() == size


def test_changed_content_is_a_new_version_of_the_same_order(net: HotlineNetwork) -> None:
    """The other system goes on writing: status, due time."""
    net.imports(order())
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    (view,) = net.orders(VILLAGE)
    assert view.order.source_status == "催办"
    assert outcomes(net.imports(order())) == [CHANGED]
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    assert net.orders(VILLAGE)[0].order.source_status == "催办"


def test_one_id_twice_in_a_batch_is_refused_with_both_rows(net: HotlineNetwork) -> None:
    """Which of the two counts is for a person to say."""
    response = net.imports(order(1), order(2), order(1, source_status="x"))
    assert outcomes(response) == [NEW, NEW, REFUSED]
    assert (response.rows[2].number, response.rows[2].field) == (4, "source_id")
    assert "row 2" in response.rows[2].detail


def test_all_or_nothing_writes_nothing_where_a_row_is_refused(net: HotlineNetwork) -> None:
    """The API is as strict as the command line before it."""
    size = net.size()
    bad = order(2, description=f"回电{PHONE}")
    assert outcomes(net.imports(order(1), bad, all_or_nothing=True)) == [NEW, REFUSED]
    assert net.size() == size
    assert outcomes(net.imports(order(1), bad)) == [NEW, REFUSED]
    assert len(net.orders(COUNTY)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"sealed_contact": b"x"},
        {"near_duplicate_of": b"x" * 16},
        {"imported_handler": VILLAGE},
        {"contact_erased": True},
        {"handler": "370831000000"},
        {"description": "长" * 5000},
        {"descriptor": "长" * 3000, "description": "长" * 3000},
    ],
)
def test_what_the_node_fills_or_can_not_hold_is_refused(net: HotlineNetwork, fields) -> None:
    """An importer that could seal by itself could seal to itself."""
    assert outcomes(net.imports(order(**fields))) == [REFUSED]


def test_a_dry_run_counts_and_writes_nothing(net: HotlineNetwork) -> None:
    """One looks before one leaps."""
    net.imports(order(1))
    size = net.size()
    response = net.imports(order(1), order(2), order(3), dry_run=True)
    assert outcomes(response) == [SAME, NEW, NEW]
    assert not response.written
    assert net.size() == size


def test_a_batch_is_bounded(net: HotlineNetwork) -> None:
    """One transaction holds up everybody else."""
    for count in (0, COMMIT_ENTRIES_MAX + 1):
        with pytest.raises(HuyingError) as caught:
            net.imports(*(order(n) for n in range(count)))
        assert caught.value.code is Code.INVALID_ARGUMENT


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 18))
def test_any_split_and_repeat_of_a_file_ends_in_the_same_orders(
    seed: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file that is cut, sent twice and out of order says what it says; likeness included."""
    rng = random.Random(seed)
    rows = [
        order(
            n,
            created_micros=CREATED + rng.randrange(3) * 86_400_000_000,
            contact_phone=f"1600000000{rng.randrange(3)}",
            contact_address=rng.choice(["", "甲路", "乙路"]),
            descriptor=rng.choice(["路灯不亮", "路灯不亮了", "水渠堵塞"]),
            category=rng.choice(["路灯", "水利"]),
            handler=rng.choice([VILLAGE, OTHER, TOWN]),
        )
        for n in range(size)
    ]
    pieces: list[list] = []
    for _ in range(2):
        shuffled = rng.sample(rows, len(rows))
        while shuffled:
            cut = rng.randrange(1, len(shuffled) + 1)
            pieces.append(shuffled[:cut])
            shuffled = shuffled[cut:]
    rng.shuffle(pieces)
    found = []
    for parts in ([rows], pieces):
        with pytest.MonkeyPatch.context() as patch:
            net = HotlineNetwork(tmp_path_factory.mktemp("net"), patch)
            for part in parts:
                assert REFUSED not in outcomes(net.imports(*part))
            views = net.orders(COUNTY)
            found.append({v.record: v.order.SerializeToString(deterministic=True) for v in views})
            before = net.size()
            net.imports(*rows)
            assert net.size() == before
            net.close()
    assert found[0] == found[1]


def test_a_crowd_of_like_orders_is_imported_again_without_a_write(net: HotlineNetwork) -> None:
    """A street that is dark is called about a hundred times; comparisons are bounded."""
    crowd = [order(n, descriptor="全街路灯不亮", created_micros=CREATED + n) for n in range(40)]
    for part in (crowd[30:], crowd[:7], crowd[7:30]):
        net.imports(*part)
    near = net.orders(COUNTY, filter=pb.ORDER_FILTER_NEAR_DUPLICATE, limit=1000)
    assert len(near) == 39
    size = net.size()
    assert outcomes(net.imports(*crowd)) == [SAME] * 40
    assert net.size() == size


def test_an_order_that_says_nothing_new_changes_no_likeness(net: HotlineNetwork) -> None:
    """A part of a file sees less of the crowd than the whole did, and must not judge again."""
    lamp = {"descriptor": "全街路灯不亮"}
    others = [order(n, descriptor=f"{n}" * 5) for n in range(2, 2 + ORDER_COMPARISONS_MAX)]
    first, last = order(1, **lamp), order(90, **lamp)
    net.imports(first, *others, last)
    assert net.orders(COUNTY, filter=pb.ORDER_FILTER_NEAR_DUPLICATE) == []
    size = net.size()
    assert outcomes(net.imports(first, last)) == [SAME, SAME]
    assert net.size() == size


def test_an_order_that_was_erased_whole_stays_erased(net: HotlineNetwork) -> None:
    """What is past its retention is not imported from an old file."""
    from huying.common.late.requests import EraseRecord

    net.imports(order())
    net.network.result(COUNTY, EraseRecord(FIRST))
    assert outcomes(net.imports(order(), order(2))) == [ERASED, NEW]


def test_importing_again_keeps_an_assignment_until_the_file_says_another(
    net: HotlineNetwork,
) -> None:
    """The file's old handler is no news; a new one is."""
    net.imports(order())
    net.assign(FIRST, OTHER)
    assert outcomes(net.imports(order())) == [SAME]
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    assert outcomes(net.imports(order(source_status="催办"))) == [SAME]
    assert net.orders(COUNTY)[0].order.handler == OTHER
    assert net.show(OTHER, FIRST).contact.phone == PHONE
    assert outcomes(net.imports(order(handler=TOWN))) == [CHANGED]
    assert net.orders(COUNTY)[0].order.handler == TOWN
    assert net.show(TOWN, FIRST).contact.phone == PHONE
    assert net.show(OTHER, FIRST).contact_state == pb.CONTACT_STATE_WITHHELD
