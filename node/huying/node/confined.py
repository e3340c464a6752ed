"""A process of its own for one file from a stranger, which may die of it.

The program is one that imports nothing of Huying and limits itself before it reads (see
`sheets.workbook_child`, `media.picture_child`). It is ended with the block, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import IO

__all__ = ["confined"]


@contextlib.contextmanager
def confined(
    program: str, arguments: Sequence[object], file: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with `file` as its standard input; its standard output is for the caller."""
    # Isolated: neither the folder that it runs in nor the environment chooses what it imports.
    command = [sys.executable, "-I", program, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            yield child
        finally:
            child.kill()
