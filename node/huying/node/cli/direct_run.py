"""`huying run` without the machinery of the other commands, and what every command's end means.

A node runs for months on a small machine. What parses a command line, with the models that it is
checked by, costs 20 MB which it would keep; so the plain form of the one command that matters there
is read here. Anything else about it, `run --help` or a slip, goes the usual way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from huying.common.errors import EXIT_INTERNAL, EXIT_OK, Code, HuyingError
from huying.node.cli.output import print_error, print_note

if TYPE_CHECKING:
    from huying.node.app import Additions

__all__ = ["CONFIG_VARIABLE", "DEFAULT_CONFIG", "file_to_run", "guarded", "run_node"]

DEFAULT_CONFIG: Final = Path("node.toml")
CONFIG_VARIABLE: Final = "HUYING_CONFIG"
_EXIT_INTERRUPTED: Final = 130
_EXIT_BROKEN_PIPE: Final = 141


def file_to_run(arguments: Sequence[str], environ: Mapping[str, str]) -> Path | None:
    """The configuration of the node to run; None where the arguments say anything else.

    >>> file_to_run(["--config", "a.toml", "run"], {})
    PosixPath('a.toml')
    >>> file_to_run(["run", "--help"], {}) is None
    True
    """
    file = environ.get(CONFIG_VARIABLE) or str(DEFAULT_CONFIG)
    words = iter(arguments)
    for word in words:
        if word in ("--config", "-c"):
            file = next(words, "")
        elif word.startswith("--config="):
            file = word.removeprefix("--config=")
        else:
            is_plain = word == "run" and next(words, None) is None
            return Path(file) if is_plain and file else None
    return None


def run_node(file: Path, additions: Additions) -> int:
    """Run the node until a signal ends it; the process's exit code. Prints what it refuses."""

    def work() -> int:
        from huying.node.app import run
        from huying.node.config import load

        return run(load(file), additions=additions)

    return guarded(work)


def guarded(work: Callable[[], object]) -> int:
    """Do a command's work and return the exit code. Prints every error that it returns."""
    # gRPC's own lines about each failed handshake would stand among the log's JSON; the link's
    # reason is in our log already. It is read when gRPC is loaded, which happens later.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        stopped = work()
    except HuyingError as error:
        print_error(error)
        return error.advice.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_OK if stop.code is None else 1
    except KeyboardInterrupt:
        print_note("已中断", "interrupted")
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; a second complaint at exit helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except Exception as error:
        if os.environ.get("HUYING_TRACEBACK"):
            raise
        # Its text may hold a record's content, so just its kind is shown.
        kind = type(error).__name__
        print_error(HuyingError(Code.UNKNOWN, f"{kind}; HUYING_TRACEBACK=1 shows where"))
        return EXIT_INTERNAL
    return stopped if isinstance(stopped, int) else EXIT_OK
