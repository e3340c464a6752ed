"""The high-water mark outlives every crash, and believes nothing that was altered."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.node.highwater import FileMark, host_id

ORIGIN = "wenshang.example/feed/370830108201/e1"
HOST, OTHER_HOST = b"h" * 32, b"o" * 32
ROOT = bytes(range(32))


@pytest.fixture
def mark(tmp_path: Path) -> FileMark:
    return FileMark(tmp_path / "highwater.mark", HOST)


def test_a_mark_never_written_reads_as_none(mark):
    """A fresh node has none; the engine decides what that means."""
    assert mark.read() is None


def test_a_mark_reads_back_as_the_last_written(mark):
    """It only ever moves to what was written last."""
    mark.write(ORIGIN, 7, ROOT)
    mark.write(ORIGIN, 8, ROOT[::-1])
    assert mark.read() == (ORIGIN, 8, ROOT[::-1])


def test_a_mark_of_another_host_reads_as_none(mark, tmp_path):
    """A directory copied to a second machine must not go on signing there."""
    mark.write(ORIGIN, 7, ROOT)
    assert FileMark(tmp_path / "highwater.mark", OTHER_HOST).read() is None


def test_a_mark_is_for_its_owner_alone(mark, tmp_path):
    """Whoever can write it can hide a rollback."""
    mark.write(ORIGIN, 7, ROOT)
    assert stat.S_IMODE((tmp_path / "highwater.mark").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["highwater.mark"]


def test_a_mark_is_synced_before_it_takes_the_place_of_the_old(mark, tmp_path, monkeypatch):
    """Renaming first could leave an empty file after a power cut, and so no mark at all."""
    done: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("sync folder" if is_folder else "sync file")
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        done.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    mark.write(ORIGIN, 7, ROOT)
    assert done == ["sync file", "rename", "sync folder"]


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_mark(mark, monkeypatch, failing):
    """And says so, since what was to be sent after it must not be sent."""
    mark.write(ORIGIN, 7, ROOT)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", fail) if failing == "fsync" else (Path, "replace", fail)))
        with pytest.raises(HuyingError) as caught:
            mark.write(ORIGIN, 8, ROOT)
    assert caught.value.code is Code.DISK_FULL
    assert mark.read() == (ORIGIN, 7, ROOT)


def test_a_temporary_file_left_by_a_crash_does_no_harm(mark, tmp_path):
    """The next write goes over it."""
    (tmp_path / "highwater.mark.new").write_bytes(b"half a ma")
    assert mark.read() is None
    mark.write(ORIGIN, 7, ROOT)
    assert mark.read() == (ORIGIN, 7, ROOT)


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_altered_byte_is_found(tmp_path_factory, at, flip):
    """The mark guards against rollback, so a damaged one must stop the node, not free it."""
    path = tmp_path_factory.mktemp("mark") / "m"
    mark = FileMark(path, HOST)
    mark.write(ORIGIN, 7, ROOT)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= flip
    path.write_bytes(data)
    with pytest.raises(HuyingError) as caught:
        mark.read()
    assert caught.value.code is Code.CORRUPT


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data + data,
        lambda data: data.replace(b" 7 ", b" 07 "),
        lambda data: data.replace(b" ", b"  ", 1),
        lambda data: b"x" * 100_000,
    ],
    ids=["empty", "no newline", "blank line", "twice", "leading zero", "two blanks", "long"],
)
def test_a_mark_out_of_form_is_refused(mark, tmp_path, change):
    """Anything that does not format back to itself is no mark."""
    mark.write(ORIGIN, 7, ROOT)
    path = tmp_path / "highwater.mark"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(HuyingError) as caught:
        mark.read()
    assert caught.value.code is Code.CORRUPT


def test_the_host_id_is_stable_and_does_not_show_the_machine_id(tmp_path, monkeypatch):
    """Marks are copied into support tickets."""
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef\n")
    monkeypatch.setattr("huying.node.highwater._HOST_FILES", (file,))
    assert host_id() == host_id()
    assert len(host_id()) == 32
    assert b"0123456789abcdef" not in host_id()
    first = host_id()
    file.unlink()
    assert host_id() not in (first, b"")
