"""Reading an exported call from its folder: its files and its list, before anything is believed.

Whoever hands the folder over may be hostile: every size is bounded, no link is followed, and the
list of digests has one spelling, so that no byte of the folder can change unseen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_INDEX_BYTES_MAX, PROOF_FILE_BYTES_MAX
from huying.node.cli.call_folder import ENTRIES, FORMAT, INDEX, SUMS

__all__ = ["parse_index", "read_folder", "tampered"]

_HEX_CHARACTERS: Final = 64


def tampered(detail: str) -> HuyingError:
    """The refusal of an export, with what is wrong."""
    return HuyingError(Code.EXPORT_TAMPERED, detail)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file by its path in the folder, as the list of digests has them.

    Raises HuyingError: INVALID_ARGUMENT for what is no export; EXPORT_TAMPERED naming the file.
    """
    try:
        there = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }
        if not folder.is_dir() or SUMS not in there:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"{folder}: no exported call: it has no {SUMS}"
            )
        sums = _parse_sums(_read_file(folder / SUMS, CALL_INDEX_BYTES_MAX))
        for name in sorted(sums.keys() - there):
            raise tampered(f"{name}: is missing")
        for name in sorted(there - sums.keys() - {SUMS}):
            raise tampered(f"{name}: was added; {SUMS} does not name it")
        files = {}
        for name, digest in sums.items():
            limit = PROOF_FILE_BYTES_MAX if name.startswith(ENTRIES) else CALL_INDEX_BYTES_MAX
            files[name] = _read_file(folder / name, limit)
            if sha256(files[name]).hexdigest() != digest:
                raise tampered(f"{name}: was altered: its digest is not the one in {SUMS}")
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{folder}: {error.strerror}") from None
    return files


def _read_file(path: Path, bytes_max: int) -> bytes:
    if path.is_symlink():
        raise tampered(f"{path.name}: is a link")
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise tampered(f"{path.name}: over {bytes_max} bytes")
    return data


def _parse_sums(data: bytes) -> dict[str, str]:
    """File name -> digest. The list has one spelling, so that no byte of it can change unseen."""
    sums: dict[str, str] = {}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise tampered(f"{SUMS}: not UTF-8") from None
    for line in text.split("\n")[:-1]:
        digest, gap, name = line[:_HEX_CHARACTERS], line[_HEX_CHARACTERS:][:2], line[66:]
        well_formed = len(digest) == _HEX_CHARACTERS and set(digest) <= set("0123456789abcdef")
        if not well_formed or gap != "  " or name in sums or not _is_plain(name):
            raise tampered(f"{SUMS}: a line is malformed, or a name is there twice")
        sums[name] = digest
    spelt = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    if spelt != text or INDEX not in sums:
        raise tampered(f"{SUMS}: its lines are not as an export writes them")
    return sums


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return len(parts) <= 2 and all(part not in ("", ".", "..") for part in parts)


def parse_index(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The list in call.json, of which nothing is to be believed yet.

    Raises HuyingError(EXPORT_TAMPERED), or INVALID_ARGUMENT for a format of another program.
    """
    try:
        index = json.loads(files[INDEX])
    except (ValueError, RecursionError):
        raise tampered(f"{INDEX}: not JSON") from None
    wanted = {
        "format": str,
        "call": str,
        "caller": str,
        "sequencer": str,
        "entries": list,
        "state": dict,
    }
    if not isinstance(index, dict) or any(
        not isinstance(index.get(name), kind) for name, kind in wanted.items()
    ):
        raise tampered(f"{INDEX}: lacks one of {', '.join(wanted)}")
    if index["format"] != FORMAT:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{INDEX}: another format than {FORMAT}: upgrade this program"
        )
    return index
