"""`huying run` is read without a parser; anything else about it goes the usual way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from huying.node.cli.direct_run import file_to_run


@pytest.mark.parametrize(
    ("arguments", "environ", "file"),
    [
        (["run"], {}, "node.toml"),
        (["run"], {"HUYING_CONFIG": "b.toml"}, "b.toml"),
        (["--config", "a.toml", "run"], {"HUYING_CONFIG": "b.toml"}, "a.toml"),
        (["-c", "a.toml", "run"], {}, "a.toml"),
        (["--config=a.toml", "run"], {}, "a.toml"),
        (["--config", "run", "run"], {}, "run"),
        (["--config", "a.toml", "status"], {}, None),
        (["run", "--help"], {}, None),
        (["--version", "run"], {}, None),
        (["--config"], {}, None),
        (["--config=", "run"], {}, None),
        (["record", "run"], {}, None),
        ([], {}, None),
    ],
)
def test_just_the_plain_form_is_read_here(arguments, environ, file):
    assert file_to_run(arguments, environ) == (None if file is None else Path(file))


def test_a_node_loads_nothing_that_parses_command_lines(tmp_path):
    """A village counts its megabytes: the parser and its models are a fifth of them."""
    code = (
        "import sys; sys.argv = ['huying', '--config', 'none.toml', 'run']\n"
        "from huying.hub.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
        "print(sorted({'typer', 'click', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert "none.toml" in done.stderr
