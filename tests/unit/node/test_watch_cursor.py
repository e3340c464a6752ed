"""The cursor file of `huying watch`: whole or not there, and never guessed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.limits import CURSOR_BYTES_MAX
from huying.node.cli.watch import read_cursor, write_cursor

POSITIONS = {"n.example/feed/370830000000/e1": 7, "n.example/feed/370830108000/e2": 0}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """And no file means from the beginning."""
    path = tmp_path / "c"
    assert read_cursor(path) == {}
    write_cursor(path, POSITIONS)
    assert read_cursor(path) == POSITIONS
    assert [one.name for one in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2, "next": {}}',
        '{"version": 1, "next": {"a": -1}}',
        '{"version": 1, "next": {"a": 1.5}}',
        '{"version": 1, "next": {"a": true}}',
        '{"version": 1, "next": {"a": 9223372036854775808}}',
        '{"version": 1, "next": {"a": 1}',
        "[" * 100_000,
        " " * (CURSOR_BYTES_MAX + 1),
    ],
)
def test_a_file_that_is_no_cursor_is_refused(tmp_path: Path, text: str) -> None:
    """To begin anew without a word would repeat everything."""
    path = tmp_path / "c"
    path.write_text(text)
    with pytest.raises(HuyingError, match="--cursor") as caught:
        read_cursor(path)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_write_that_fails_leaves_the_cursor_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, or the machine goes down: the old place is better than none."""
    path = tmp_path / "c"
    write_cursor(path, POSITIONS)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HuyingError, match="--cursor"):
        write_cursor(path, {**POSITIONS, "n.example/feed/370830000000/e1": 8})
    assert json.loads(path.read_text())["next"] == POSITIONS
