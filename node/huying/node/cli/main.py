"""The application: its options, its groups of commands, and the exit code.

Each module of this package adds the commands it is named after. Libraries are imported by the
command that needs them, so that help, and commands that need no node, answer at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import EXIT_USAGE
from huying.node.cli import run
from huying.node.cli.context import Settings
from huying.node.cli.direct_run import CONFIG_VARIABLE, DEFAULT_CONFIG, guarded

if TYPE_CHECKING:
    from huying.node.app import Additions

__all__ = ["build_app", "execute"]

_HELP = """
呼应节点:记录、呼叫与数据流,一切皆可验证。

One node of a Huying network: its records, its calls, its signed feed.

\b
退出码:2 输入或配置,3 对方,4 数据,5 请求,6 本节点。
Exit codes: 2 input or configuration, 3 a peer, 4 data, 5 the request, 6 this node.
"""
# Modules of this package: each adds a command, or makes a group.
_COMMANDS: Final = (
    *("init", "join", "rehome", "status", "recover", "fsck", "doctor", "backup", "restore"),
    *("rebuild", "erase", "watch", "ask"),
)
_GROUPS: Final = (
    *("record", "call", "feed", "bundle", "roster", "key", "subject", "disclosure"),
    *("department", "quarantine", "user", "config", "event"),
)
# The base of what is wrong with how a command is used. Typer takes it from Click, or from a copy
# of Click that it brings along, and names it under neither name of its own.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def build_app(
    commands: Mapping[str, Sequence[tuple[str, Callable[..., None]]]] | None = None,
    find_additions: Callable[[], Additions | None] = lambda: None,
) -> typer.Typer:
    """The node's commands.

    A hub adds groups to what this returns, and `commands`, each with its name, to the node's own
    groups, by theirs.
    """
    app = typer.Typer(
        name="huying",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    run.register(app, find_additions)
    for name in _COMMANDS:
        _module(name).register(app)
    for name in _GROUPS:
        group = _module(name).group()
        for added, command in (commands or {}).get(name, ()):
            group.command(name=added)(command)
        app.add_typer(group, name=name)
    return app


def _module(name: str) -> Any:
    return importlib.import_module(f"huying.node.cli.{name}")


def execute(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and return the process's exit code. Prints every error that it returns."""

    def work() -> object:
        try:
            return app(args=list(arguments), prog_name="huying", standalone_mode=False)
        except _USAGE_ERROR as error:
            return _print_usage(error)
        except typer.Abort:
            raise KeyboardInterrupt from None

    return guarded(work)


def _print_usage(error: Any) -> int:
    """A missing option, a value that does not fit; and a group without a command shows its help."""
    if type(error).__name__ != "NoArgsIsHelpError":
        print("错误:命令用法有误", file=sys.stderr, flush=True)
    error.show()
    return EXIT_USAGE


def _version(wanted: bool) -> None:
    if wanted:
        from huying.node.version import own_version

        typer.echo(own_version())
        raise typer.Exit


def _options(
    context: typer.Context,
    config_file: Annotated[
        Path,
        typer.Option(
            "--config",
            "-c",
            envvar=CONFIG_VARIABLE,
            metavar="NODE.toml",
            help="节点配置文件 · The node's configuration.",
        ),
    ] = DEFAULT_CONFIG,
    _show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="显示版本 · Show the version."
        ),
    ] = False,
) -> None:
    context.obj = Settings(config_file)
