"""Commands as a person types them: the whole command line, run in this process.

A second of a processor's time for each start of an interpreter would be most of what a drill costs.
What only a process of its own shows, its entry point and its exit code, is in
`tests/unit/node/test_cli.py` and `test_process.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from huying.hub.cli import app
from huying.node.cli.main import execute

__all__ = ["Done", "huying", "ok"]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


class _Swap(contextlib.AbstractContextManager[io.TextIOWrapper]):
    """`sys.stdin`, `sys.stdout` or `sys.stderr` for a while; bytes may be written beneath it."""

    def __init__(self, name: str, data: bytes = b"") -> None:
        self._name = name
        self._buffer = io.BytesIO(data)
        self._stream = io.TextIOWrapper(self._buffer, encoding="utf-8", write_through=True)

    def __enter__(self) -> io.TextIOWrapper:
        self._before = getattr(sys, self._name)
        setattr(sys, self._name, self._stream)
        return self._stream

    def __exit__(self, *_: object) -> None:
        setattr(sys, self._name, self._before)

    @property
    def text(self) -> str:
        return self._buffer.getvalue().decode("utf-8")


def huying(*arguments: object, stdin: str = "") -> Done:
    """Run `huying ARGUMENTS`, without a terminal. Must not be called from an event loop."""
    given, out, err = _Swap("stdin", stdin.encode()), _Swap("stdout"), _Swap("stderr")
    with given, out, err:
        code = execute(app(), [str(argument) for argument in arguments])
    return Done(code, out.text, err.text)


def ok(*arguments: object, stdin: str = "") -> Any:
    """What a command prints as JSON; it has to succeed."""
    done = huying(*arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
