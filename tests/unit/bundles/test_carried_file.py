"""Files for sticks: whole or not at all, private, and never in the place of another."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.carried_file import read_carried, write_carried


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    """Only its owner reads it, though it is sealed."""
    place = tmp_path / "a.bundle"
    write_carried(place, b"content")
    assert read_carried(place, 7) == b"content"
    assert place.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A stick that is full or was pulled out: there is no half a bundle to be carried."""

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(HuyingError) as caught:
        write_carried(tmp_path / "a.bundle", b"content")
    full = number == errno.ENOSPC
    assert caught.value.code is (Code.DISK_FULL if full else Code.INVALID_ARGUMENT)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_never_replaced(tmp_path: Path) -> None:
    """Also not what a link points at that leads nowhere yet."""
    place, link = tmp_path / "a.bundle", tmp_path / "link"
    place.write_bytes(b"older")
    link.symlink_to(tmp_path / "nowhere")
    for taken in (place, link):
        with pytest.raises(HuyingError) as caught:
            write_carried(taken, b"newer")
        assert caught.value.code is Code.INVALID_ARGUMENT
    assert place.read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [place, link]


def test_what_can_not_be_read_or_is_too_long_is_named(tmp_path: Path) -> None:
    """Before any of it is sent anywhere."""
    place = tmp_path / "a.bundle"
    place.write_bytes(bytes(100))
    with pytest.raises(HuyingError) as caught:
        read_carried(place, 99)
    assert caught.value.code is Code.LIMIT_EXCEEDED
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(HuyingError) as caught:
            read_carried(missing, 99)
        assert caught.value.code is Code.INVALID_ARGUMENT
    with pytest.raises(HuyingError) as caught:
        write_carried(tmp_path / "no folder" / "a", b"")
    assert caught.value.code is Code.INVALID_ARGUMENT
