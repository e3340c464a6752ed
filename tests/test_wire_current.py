"""The committed wire code is what the generator makes of proto/ today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WIRE = Path("huying/wire/v1")


def generated_files(top: Path) -> dict[str, str]:
    """Name to text of the generated modules and stubs below `top`."""
    return {path.name: path.read_text("utf-8") for path in (top / WIRE).glob("*_pb2*.py*")}


def floor_of(distribution: str) -> tuple[int, ...]:
    """The lowest version of a dependency that pyproject.toml admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in project["dependencies"]:
        match = re.fullmatch(rf"{distribution}>=([0-9.]+)(,.*)?", line)
        if match:
            return tuple(int(part) for part in match[1].split("."))
    raise AssertionError(f"{distribution} has no floor")


def test_wire_code_is_what_the_generator_makes_of_proto(tmp_path: Path) -> None:
    """A field changed in proto/ alone would be on the wire of some nodes only."""
    subprocess.run(
        [ROOT / ".ci/proto", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        check=True,
    )
    fresh, committed = generated_files(tmp_path), generated_files(ROOT / "common")
    assert sorted(fresh) == sorted(committed)
    assert [name for name in sorted(fresh) if fresh[name] != committed[name]] == []


@pytest.mark.parametrize(
    ("distribution", "pattern"),
    [
        ("protobuf", r"# Protobuf Python Version: ([0-9.]+)"),
        ("grpcio", r"GRPC_GENERATED_VERSION = '([0-9.]+)'"),
    ],
)
def test_dependency_floor_admits_the_generated_code(distribution: str, pattern: str) -> None:
    """Generated code refuses an older runtime at import: the floor must say so before."""
    versions = {
        tuple(int(part) for part in version.split("."))
        for text in generated_files(ROOT / "common").values()
        for version in re.findall(pattern, text)
    }
    assert len(versions) == 1
    assert floor_of(distribution) >= versions.pop()
