"""`huying call verify`: an exported call, checked with nothing but keys.

1. The folder holds the files that its list of digests names, no more and no less, each as it was.
2. Each entry's proof leads to a checkpoint that its feed's key signed; what the proof shows opens
   the entry's commitments. An entry of a feed whose key is not given is counted as unverified; the
   sequencer's must all be verified, since the state follows from them.
3. Each entry is about this call, and stands where call.json says.
4. The sequencer's steps count 1, 2, 3, … without a gap. One that has a number again is named: after
   a loss the sequencer may have counted on from less, before the others gave back what they held.
5. Folding them again gives the state in call.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from huying.common.calls import SequencedStep, fold
from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.cli.call_folder import ENTRIES, INDEX, opens
from huying.node.cli.call_folder_read import parse_index, read_folder, tampered
from huying.node.cli.call_state_document import state_document
from huying.wire.v1 import calls_pb2, trust_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from huying.common.feed.note import VerifierKey

__all__ = ["print_report", "verify_folder"]

_UNSIGNED: Final = "(无人签名 · nobody signed this)"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One proof file, checked as far as the keys allow."""

    file: str
    origin: str
    index: int
    record: bytes
    message: Message
    verified: bool
    size: int  # of the feed at the checkpoint
    root: bytes
    cosigned: tuple[tuple[str, int], ...]

    @property
    def place(self) -> tuple[str, int]:
        return self.origin, self.index


def verify_folder(
    folder: Path, keys: Sequence[VerifierKey], witness_keys: Sequence[VerifierKey] = ()
) -> dict[str, Any]:
    """What an exported call shows, each part of it checked.

    Raises HuyingError: INVALID_ARGUMENT for a folder that can't be read, or where a key of the
    sequencer's feeds is not given; EXPORT_TAMPERED naming the file and what is wrong with it;
    BAD_PROOF, BAD_NOTE, BAD_SIGNATURE, BAD_LEAF or OPENING_MISMATCH of a proof, naming its file.
    """
    files = read_folder(folder)
    index = parse_index(files)
    names = [name for name in sorted(files) if name.startswith(f"{ENTRIES}/")]
    by_name = {key.name: key for key in keys}
    entries = [_check_proof(name, files[name], by_name, witness_keys) for name in names]
    _check_list(index, entries)
    sequencer = index["sequencer"]
    for entry in entries:
        if parse_origin(entry.origin).code == sequencer and not entry.verified:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"--key: give the key of {entry.origin}; the state of the call follows from it",
            )
    _check_checkpoints(entries)
    _check_subject(index, entries)
    steps = _sequenced(entries, sequencer)
    repeated = _check_numbers(steps)
    state = state_document(fold(step for step, _ in steps))
    _compare_state(index["state"], state)
    unverified = [entry for entry in entries if not entry.verified]
    return {
        "valid": True,
        "call": index["call"],
        "caller": index["caller"],
        "sequencer": sequencer,
        "entries": len(entries),
        "verified": len(entries) - len(unverified),
        "unverified": [
            {"file": one.file, "origin": one.origin, "index": one.index} for one in unverified
        ],
        "feeds": _feeds(entries),
        "steps": max((step.call_step.number for step, _ in steps), default=0),
        "repeated_numbers": repeated,
        "stage": state["stage"],
        "state": state,
        # Nobody signed these two.
        "claimed": {
            "exported_by": index.get("exported_by"),
            "exported_micros": index.get("exported_micros"),
        },
    }


# --- 2: the proofs -----------------------------------------------------------------------------


def _check_proof(
    name: str, data: bytes, keys: Mapping[str, VerifierKey], witness_keys: Sequence[VerifierKey]
) -> _Entry:
    try:
        return _checked_proof(name, data, keys, witness_keys)
    except HuyingError as error:
        raise HuyingError(error.code, f"{name}: {error.detail}") from None


def _checked_proof(
    name: str, data: bytes, keys: Mapping[str, VerifierKey], witness_keys: Sequence[VerifierKey]
) -> _Entry:
    from huying.common.feed.checkpoint import parse_checkpoint
    from huying.common.feed.merkle import leaf_hash
    from huying.common.feed.merkle_proof import verify_inclusion
    from huying.common.feed.note import parse_note
    from huying.common.feed.tlog_proof import parse_proof, unpack_extra, verify_proof
    from huying.node.api.entries import check_openings, view_entry

    proof = parse_proof(data)
    leaf, openings = unpack_extra(proof.extra)
    claimed = parse_checkpoint(parse_note(proof.checkpoint_note).text)
    key = keys.get(claimed.origin)
    cosigned: tuple[tuple[str, int], ...] = ()
    if key is None:
        verify_inclusion(proof.index, claimed.size, leaf_hash(leaf), proof.proof, claimed.root)
    else:
        cosigned = verify_proof(proof, leaf_hash(leaf), key, witness_keys).cosignatures
        _check_witnesses(witness_keys, cosigned)
    check_openings(claimed.origin, leaf, openings)
    view = view_entry(claimed.origin, leaf, openings)
    if view.head is None or view.message is None:
        raise HuyingError(Code.EXPORT_TAMPERED, "its head or its record is not shown")
    return _Entry(
        file=name,
        origin=claimed.origin,
        index=proof.index,
        record=view.head.record,
        message=view.message,
        verified=key is not None,
        size=claimed.size,
        root=claimed.root,
        cosigned=cosigned,
    )


def _check_witnesses(
    witness_keys: Sequence[VerifierKey],
    cosigned: tuple[tuple[str, int], ...],
) -> None:
    seen_by = dict(cosigned)
    for witness in witness_keys:
        if witness.name not in seen_by:
            raise HuyingError(Code.BAD_SIGNATURE, f"{witness.name}: did not cosign")


def _check_checkpoints(entries: Sequence[_Entry]) -> None:
    """One feed has one root at one size, or it signed two histories."""
    roots: dict[tuple[str, int], bytes] = {}
    for entry in entries:
        if roots.setdefault((entry.origin, entry.size), entry.root) != entry.root:
            raise HuyingError(
                Code.FORK, f"{entry.file}: {entry.origin} has two roots at size {entry.size}"
            )


# --- 3 to 5: the call --------------------------------------------------------------------------


def _check_list(index: Mapping[str, Any], entries: Sequence[_Entry]) -> None:
    listed = {}
    for row in index["entries"]:
        if not isinstance(row, dict):
            raise tampered(f"{INDEX}: an entry of its list is none")
        listed[row.get("file")] = row
    if len(listed) != len(index["entries"]) or listed.keys() != {one.file for one in entries}:
        raise tampered(f"{INDEX}: its list of entries is not that of the files in {ENTRIES}/")
    for entry in entries:
        row = listed[entry.file]
        kind, number = _kind(entry.message)
        found = {
            "file": entry.file,
            "origin": entry.origin,
            "index": entry.index,
            "step": kind,
            "number": number,
        }
        if row != found:
            wrong = ", ".join(name for name in {**row, **found} if row.get(name) != found.get(name))
            raise tampered(f"{INDEX}: says another {wrong} of {entry.file} than its proof")


def _kind(message: Message) -> tuple[str, int | None]:
    if isinstance(message, calls_pb2.Call):
        return "raise", None
    if isinstance(message, calls_pb2.CallStep):
        return message.WhichOneof("step") or "internal_note", message.number or None
    return "disclosure", None


def _check_subject(index: Mapping[str, Any], entries: Sequence[_Entry]) -> None:
    """Nothing of another call, and nothing that merely looks like this one's."""
    call, caller = index["call"], index["caller"]
    places = {entry.place for entry in entries}
    for entry in entries:
        message = entry.message
        if isinstance(message, calls_pb2.Call):
            of = entry.record.hex(), parse_origin(entry.origin).code
        elif isinstance(message, calls_pb2.CallStep):
            of = message.call.hex(), message.caller
        elif isinstance(message, trust_pb2.Disclosure):
            of = (call, caller) if opens(message, entry.origin, places) else ("", "")
        else:
            of = "", ""
        if of != (call, caller):
            raise tampered(f"{entry.file}: is not about call {call} of {caller}")
        named = isinstance(message, calls_pb2.Call) and message.sequencer != index["sequencer"]
        if named:
            raise tampered(f"{INDEX}: names another sequencer than the call itself")


def _sequenced(entries: Sequence[_Entry], sequencer: str) -> list[tuple[SequencedStep, str]]:
    found = []
    for entry in entries:
        origin = parse_origin(entry.origin)
        if origin.code == sequencer and isinstance(entry.message, calls_pb2.CallStep):
            found.append((SequencedStep(entry.index, entry.message, origin.epoch), entry.file))
    return sorted(found, key=lambda one: one[0].place)


def _check_numbers(steps: Sequence[tuple[SequencedStep, str]]) -> list[str]:
    """The files of steps whose number was there before. Raises EXPORT_TAMPERED for a gap."""
    expected = 1
    repeated = []
    for step, file in steps:
        number = step.call_step.number
        if not number:
            continue  # the answer to somebody who is no party, or a note
        if number > expected:
            gap = str(expected) if number == expected + 1 else f"{expected} to {number - 1}"
            raise tampered(f"{file}: is step {number}; the sequencer's step {gap} is missing")
        if number < expected:
            repeated.append(file)
        expected = max(expected, number + 1)
    return repeated


def _compare_state(claimed: Any, folded: Any, path: str = "state") -> None:
    if isinstance(claimed, dict) and isinstance(folded, dict) and claimed.keys() == folded.keys():
        for name, value in folded.items():
            _compare_state(claimed[name], value, f"{path}.{name}")
    elif type(claimed) is not type(folded) or claimed != folded:
        raise tampered(f"{INDEX}: {path} is not what the steps add up to")


# --- telling it --------------------------------------------------------------------------------


def _feeds(entries: Sequence[_Entry]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        feed = found.setdefault(
            entry.origin,
            {
                "origin": entry.origin,
                "verified": entry.verified,
                "entries": 0,
                "size": 0,
                "cosigned": [],
            },
        )
        feed["entries"] += 1
        feed["size"] = max(feed["size"], entry.size)
        feed["cosigned"] = sorted({*feed["cosigned"], *(name for name, _ in entry.cosigned)})
    return list(found.values())


def print_report(report: dict[str, Any]) -> None:
    """What `verify_folder` found, for people."""
    from huying.node.cli.call_text import stage_text
    from huying.node.cli.output import print_pairs, when

    claimed = report["claimed"]
    exported = claimed["exported_micros"]
    at = when(exported) if isinstance(exported, int) else exported
    print_pairs(
        [
            ("证明成立 · valid", f"{report['verified']}/{report['entries']} 条 entries"),
            ("呼叫 · call", report["call"]),
            ("呼叫方 · caller", report["caller"]),
            ("应答方 · sequencer", report["sequencer"]),
            ("环节 · stage", stage_text(report["stage"])),
            ("步骤 · steps", f"1–{report['steps']},无缺号 · no gap"),
            *(("重号 · number again", file) for file in report["repeated_numbers"]),
            *(
                (
                    "数据流 · feed",
                    f"{feed['origin']} ({feed['entries']}) "
                    + ("已核对 verified" if feed["verified"] else "未核对 UNVERIFIED: no --key"),
                )
                for feed in report["feeds"]
            ),
            *(("未核对 · unverified", one["file"]) for one in report["unverified"]),
            ("自称 · claimed", f"由 by {claimed['exported_by']}, {at} {_UNSIGNED}"),
        ]
    )
