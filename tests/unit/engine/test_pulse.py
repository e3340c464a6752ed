"""A pulse: signed by the origin for one reader, and passed on only behind what it speaks of."""

from __future__ import annotations

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.state import ClassMark
from huying.common.sync.pulse import make_pulse, open_pulse, peek_pulse
from huying.common.sync.pulse_board import PulseBoard
from huying.wire.v1 import feed_pb2
from tests.support.handmade import flip
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity

SIGNER = identity(COUNTY).feed_signer
CLASSES = {
    TOWN: ClassMark(4, 9),
    f"{TOWN}/*": ClassMark(7, 8),
    f"{COUNTY}/*": ClassMark(2, 3),
    "370830101000": ClassMark(5, 7),
}


def a_pulse(reader: str = VILLAGE) -> feed_pb2.Pulse:
    return make_pulse(SIGNER, reader, 10, bytes(32), 1000.5, CLASSES)


def test_a_pulse_tells_its_reader_the_totals_of_its_own_classes_alone() -> None:
    """What others may read is none of its business."""
    assert open_pulse(a_pulse(VILLAGE), SIGNER.key).totals == {f"{TOWN}/*": 7, f"{COUNTY}/*": 2}
    assert open_pulse(a_pulse(TOWN), SIGNER.key).totals == {
        TOWN: 4,
        f"{TOWN}/*": 7,
        f"{COUNTY}/*": 2,
    }
    pulse = open_pulse(a_pulse(), SIGNER.key)
    assert (pulse.origin, pulse.reader, pulse.size, pulse.time) == (
        SIGNER.name,
        VILLAGE,
        10,
        1000.5,
    )


def test_every_flipped_byte_is_found() -> None:
    """A relay passes pulses on; it can't write them."""
    honest = a_pulse()
    for at in range(len(honest.body)):
        altered = feed_pb2.Pulse(body=flip(honest.body, at), signature=honest.signature)
        with pytest.raises(HuyingError) as caught:
            open_pulse(altered, SIGNER.key)
        assert caught.value.code in (Code.BAD_SIGNATURE, Code.FRAME_MALFORMED)
    altered = feed_pb2.Pulse(body=honest.body, signature=flip(honest.signature))
    with pytest.raises(HuyingError) as caught:
        open_pulse(altered, SIGNER.key)
    assert caught.value.code is Code.BAD_SIGNATURE


def test_another_origin_s_key_does_not_open_it() -> None:
    """Nobody speaks for another's feed."""
    with pytest.raises(HuyingError) as caught:
        open_pulse(a_pulse(), identity(TOWN).feed_signer.key)
    assert caught.value.code is Code.BAD_SIGNATURE


@pytest.mark.parametrize(
    "changes",
    [
        {"reader": "12"},
        {"root": bytes(31)},
        {"size": 2**60},
        {"totals": [feed_pb2.ClassTotal(name=f"{TOWN}/*", total=11)]},
        {"totals": [feed_pb2.ClassTotal(name="370830101000", total=1)]},
        {"totals": [feed_pb2.ClassTotal(name=VILLAGE, total=1)] * 33},
    ],
    ids=["reader", "root", "size", "total over size", "foreign class", "too many"],
)
def test_an_impossible_pulse_is_malformed(changes: dict) -> None:
    """Even from a key that is trusted."""
    honest = feed_pb2.PulseBody.FromString(a_pulse().body)
    for name, value in changes.items():
        honest.ClearField(name)
        honest.MergeFrom(feed_pb2.PulseBody(**{name: value}))
    with pytest.raises(HuyingError) as caught:
        peek_pulse(feed_pb2.Pulse(body=honest.SerializeToString()))
    assert caught.value.code is Code.FRAME_MALFORMED


class Line:
    """As much of a session as a board asks of it."""

    def __init__(self, cursor: int) -> None:
        self.at = cursor

    def cursor(self, origin: str) -> int:
        return self.at


def due(board: PulseBoard, line: Line) -> list[bytes]:
    return [frame.pulse.body for _, frame in board.due({VILLAGE: line})]  # type: ignore[dict-item]


def test_a_pulse_waits_until_every_entry_it_speaks_of_went_before_it() -> None:
    """So at an honest relay it never runs ahead, and one that does is a sign of withholding."""
    board, line = PulseBoard(), Line(9)
    board.post(SIGNER.name, VILLAGE, 10, a_pulse(), 0.0)
    assert due(board, line) == []
    line.at = 10
    assert due(board, line) == [a_pulse().body]
    assert due(board, line) == []


def test_one_that_waits_is_not_replaced_and_the_newest_follows() -> None:
    """A busy feed would otherwise never get any through."""
    board, line = PulseBoard(), Line(10)
    newer = make_pulse(SIGNER, VILLAGE, 20, bytes(32), 2000.0, CLASSES)
    board.post(SIGNER.name, VILLAGE, 10, a_pulse(), 0.0)
    board.post(SIGNER.name, VILLAGE, 20, newer, 0.0)
    assert due(board, line) == [a_pulse().body]
    line.at = 20
    assert due(board, line) == [newer.body]


def test_a_new_link_gets_the_newest_again() -> None:
    """Whoever reconnects learns at once how far the origin has come."""
    board, line = PulseBoard(), Line(10)
    board.post(SIGNER.name, VILLAGE, 10, a_pulse(), 0.0)
    assert len(due(board, line)) == 1
    board.link_opened([TOWN])
    assert due(board, line) == []
    board.link_opened([VILLAGE])
    assert len(due(board, line)) == 1
