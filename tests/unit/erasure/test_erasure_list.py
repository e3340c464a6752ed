"""The list of erasures outlives the database, power cuts and curious editors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.late.spans import Span
from huying.node.erasure_list import FileErasureList

ORIGIN = "wenshang.example/feed/370830108201/e1"
SPANS = [Span(ORIGIN, 3, 4, b""), Span(ORIGIN, 7, 9, b"\x05\x0d"), Span(ORIGIN, 9, 10, b"\x03")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "erasures.list"


def test_a_node_that_never_erased_has_no_list(path: Path) -> None:
    """And needs none to start."""
    assert FileErasureList(path).read() == []


def test_what_was_appended_reads_back_in_its_order(path: Path) -> None:
    """Over several openings of the file, as a node's life is."""
    FileErasureList(path).append(SPANS[:2])
    FileErasureList(path).append(SPANS[2:])
    assert FileErasureList(path).read() == SPANS
    assert path.stat().st_mode & 0o777 == 0o600


@given(
    st.lists(
        st.builds(
            Span,
            st.just(ORIGIN),
            st.integers(0, 2**40),
            st.integers(2**40 + 1, 2**47),
            st.binary(max_size=255),
        ),
        max_size=5,
    )
)
@settings(max_examples=50)
def test_every_span_reads_back(tmp_path_factory: pytest.TempPathFactory, spans: list[Span]) -> None:
    """A line that is written and can't be read would stop the next start."""
    kept = FileErasureList(tmp_path_factory.mktemp("list") / "erasures.list")
    kept.append(spans)
    assert kept.read() == spans


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_power_cut_tore_is_cut_off_and_the_next_goes_in_its_place(
    path: Path, cut: int
) -> None:
    """It was never acted upon: the erasure leaves the node after the list is durable."""
    kept = FileErasureList(path)
    kept.append(SPANS)
    path.write_bytes(path.read_bytes()[:-cut])
    assert kept.read() == SPANS[:2]
    kept.append(SPANS[2:])
    assert kept.read() == SPANS


def test_an_altered_line_is_named_and_nothing_is_taken_from_the_list(path: Path) -> None:
    """Whoever shortens a range would bring people back."""
    kept = FileErasureList(path)
    kept.append(SPANS)
    path.write_bytes(path.read_bytes().replace(b" 7 9 ", b" 7 8 "))
    with pytest.raises(HuyingError) as caught:
        kept.read()
    assert caught.value.code is Code.CORRUPT
    assert "line 2" in caught.value.detail


def test_flipping_any_bit_of_any_whole_line_is_found(path: Path) -> None:
    """Just the last line's end may look like a power cut."""
    kept = FileErasureList(path)
    kept.append(SPANS)
    data = path.read_bytes()
    for at in range(len(data) - 1):
        path.write_bytes(data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :])
        with pytest.raises(HuyingError):
            kept.read()
