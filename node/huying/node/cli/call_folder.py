"""A call as a folder of proof files: what `huying call export` writes.

    README.md            what this is, in Chinese and English
    call.json            which entries there are, by whom it was exported, and the folded state
    entries/CODE-eN-INDEX.proof
                         one C2SP tlog-proof for each entry about the call that is held here
    SHA256SUMS           of every other file, as `sha256sum -c` reads it

Nothing in call.json is to be believed before `huying.node.cli.call_verify` found it in the proofs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from huying.common.calls import SequencedStep, fold
from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import ADDRESSED, unpack_openings
from huying.common.limits import CALL_STEPS_MAX
from huying.node.cli.call_state_document import state_document
from huying.node.cli.prove import ALL, find_feed, make_proof, read_entry
from huying.wire.v1 import calls_pb2, feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.node.store.call_queries import CallRow, CallStepRow
    from huying.node.store.reader import FileReader

__all__ = ["ENTRIES", "FORMAT", "INDEX", "SUMS", "CallFolder", "collect", "opens", "write_folder"]

FORMAT: Final = "huying/call-export/v1"
INDEX: Final = "call.json"
_README: Final = "README.md"
SUMS: Final = "SHA256SUMS"
ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True)
class CallFolder:
    """What is to be written: bytes by path within the folder."""

    files: Mapping[str, bytes]
    origins: tuple[str, ...]  # of the feeds that entries stand in, the sequencer's first
    missing: str  # numbers of the sequencer's steps that are not here


def collect(
    reader: FileReader, call: bytes, *, by: str, now_micros: int, everything: bool
) -> CallFolder:
    """Everything that is held of a call, with its proofs.

    `everything` opens all fields held here, else just those that every party may read. Raises
    HuyingError: NOT_FOUND; LIMIT_EXCEEDED for a call of more than CALL_STEPS_MAX entries; as
    `make_proof`.
    """
    with reader.snapshot() as view:
        found = view.get_call(call)
        if found is None:
            raise HuyingError(Code.NOT_FOUND, "no such call here")
        row, rows = found
        if len(rows) >= CALL_STEPS_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"call: over {CALL_STEPS_MAX} entries")
        disclosures = list(_disclosures(view, {(each.origin, each.index) for each in rows}))
    steps = {(each.origin, each.index): _parse(each) for each in rows}
    places = sorted([*steps, *disclosures], key=lambda place: _order(place, row.sequencer))
    files: dict[str, bytes] = {}
    entries = []
    for origin, index in places:
        name = _file_name(origin, index)
        feed = find_feed(reader, origin)
        opened = [ALL] if everything else _shared(reader, feed, index)
        files[name] = make_proof(reader, feed, index, opened)
        step = steps.get((origin, index))
        entries.append({"file": name, "origin": origin, "index": index, **_said(step)})
    state = fold(_sequenced(steps, row.sequencer))
    numbers = {step.number for step in steps.values() if isinstance(step, calls_pb2.CallStep)}
    gaps = [number for number in range(1, state.step_count + 1) if number not in numbers]
    index_document = {
        "format": FORMAT,
        "call": row.call.hex(),
        "caller": row.caller,
        "sequencer": row.sequencer,
        "exported_by": by,
        "exported_micros": now_micros,
        "entries": entries,
        "state": state_document(state),
    }
    files[INDEX] = json.dumps(index_document, ensure_ascii=False, indent=2).encode() + b"\n"
    origins = tuple(dict.fromkeys(origin for origin, _ in places))
    files[_README] = _readme(row, origins).encode()
    lines = (f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    files[SUMS] = "".join(lines).encode()
    return CallFolder(files, origins, ", ".join(map(str, gaps)))


def write_folder(folder: CallFolder, path: Path) -> None:
    """Make the folder, whole or not at all; what is there is never written over.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    path = path.absolute()
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"--output: {path} is there and not empty; name a new folder"
            )
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.mkdir(parents=True)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--output: {path}: {error.strerror}") from None
    try:
        (partial / ENTRIES).mkdir()
        for name, data in folder.files.items():
            (partial / name).write_bytes(data)
        partial.rename(path)  # onto an empty folder, or where none is
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--output: {path}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _order(place: tuple[str, int], sequencer: str) -> tuple[bool, str, int, int]:
    """The sequencer's entries first, then feed by feed."""
    origin = parse_origin(place[0])
    return origin.code != sequencer, origin.code, origin.epoch, place[1]


def _file_name(origin: str, index: int) -> str:
    parsed = parse_origin(origin)
    return f"{ENTRIES}/{parsed.code}-e{parsed.epoch}-{index}.proof"


def _shared(reader: FileReader, feed: Any, index: int) -> list[str]:
    """The compartments held of an entry that every party may read."""
    held = unpack_openings(read_entry(reader, feed, index).openings)
    return [f"{opening[0]:#04x}" for opening in held if opening[0] & ADDRESSED]


def _parse(row: CallStepRow) -> calls_pb2.Call | calls_pb2.CallStep:
    from huying.node.store.schema import STEP_RAISE

    try:
        if row.step == STEP_RAISE:
            return calls_pb2.Call.FromString(row.message)
        return calls_pb2.CallStep.FromString(row.message)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored call does not parse") from None


def _sequenced(
    steps: Mapping[tuple[str, int], calls_pb2.Call | calls_pb2.CallStep], sequencer: str
) -> Iterator[SequencedStep]:
    for (origin, index), step in steps.items():
        parsed = parse_origin(origin)
        if parsed.code == sequencer and isinstance(step, calls_pb2.CallStep):
            yield SequencedStep(index, step, parsed.epoch)


def _said(step: calls_pb2.Call | calls_pb2.CallStep | None) -> dict[str, Any]:
    if step is None:
        return {"step": "disclosure", "number": None}
    if isinstance(step, calls_pb2.Call):
        return {"step": "raise", "number": None}
    return {"step": step.WhichOneof("step") or "internal_note", "number": step.number or None}


def _disclosures(reader: Any, places: set[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Where the statements stand that opened any of these entries to somebody."""
    from huying.node.store.content import message_bytes

    names = {feed.feed_id: feed.origin for feed in reader.feeds()}
    for feed_id, index, entry in reader.statements(feed_pb2.RECORD_TYPE_DISCLOSURE):
        try:
            message = trust_pb2.Disclosure.FromString(message_bytes(entry.openings))
        except DecodeError:
            continue
        if opens(message, names[feed_id], places):
            yield names[feed_id], index


def opens(message: trust_pb2.Disclosure, origin: str, places: set[tuple[str, int]]) -> bool:
    """Whether a disclosure in the feed `origin` opens any of these entries."""
    of = message.origin or origin
    return any(
        (of, index) in places
        for one in message.ranges
        for index in range(one.start, min(one.stop, one.start + CALL_STEPS_MAX))
    )


def _readme(row: CallRow, origins: Sequence[str]) -> str:
    keys = " ".join("--key VKEY" for _ in origins)
    listed = "\n".join(f"- `{origin}`" for origin in origins)
    return f"""# 呼叫 {row.call.hex()}

本文件夹是一件呼叫的全部条目及其证明,可离线核对,不需要任何节点、数据库或网络。

This folder holds every entry about one call that the exporting node held, each with its proof. It
verifies offline, without a node, a database or a network.

    huying call verify . {keys}

`VKEY` 是写入节点的公钥,请向该节点的上级索取,不要取自本文件夹;至少要有应答方
{row.sequencer} 的。条目所在的数据流:

`VKEY` is the verifier key of a feed. Get it from somebody you trust, never from this folder; that
of the answering node {row.sequencer} is needed at least. The entries stand in these feeds:

{listed}

核对成立,说明:每个条目由其节点签名且未被改动;应答方的步骤没有缺号;重新推演所得状态与
`call.json` 一致。它不说明:导出之后没有新的步骤;`call.json` 中导出者与导出时间属实。

What a verified folder shows: each entry was signed by its node and is unaltered; no number of the
answering node's steps is missing; folding them again gives the state in `call.json`. What it does
not show: that no step came after the last one here; who made the export, and when.
"""
