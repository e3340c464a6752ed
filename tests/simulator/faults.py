"""Relays that cheat: a town's own engine, with hands on what it says to one neighbour.

Each cheat alters the town's frames on one line, about the feeds that only pass through it. What the
victim must notice, by name, stands beside it. A relay turns honest when its cheat is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from huying.common.errors import Code
from huying.common.feed.merkle import CompactRange, build, leaf_hash, merge
from huying.common.sync.pulse import peek_pulse
from huying.wire.v1 import feed_pb2, sync_pb2

Segments = Callable[["Cheat", feed_pb2.Segment], feed_pb2.Segment | None]
Entries = Callable[["Cheat", feed_pb2.Entry], feed_pb2.Entry | None]
Pulses = Callable[["Cheat", feed_pb2.Pulse], feed_pb2.Pulse]


@dataclass(slots=True)
class Cheat:
    """One way to cheat. Gets every frame of the relay towards the victim."""

    name: str
    noticed_as: Code
    origins: frozenset[str]  # whose feeds are tampered with
    on_segment: Segments
    on_entry: Entries = lambda cheat, entry: entry  # in a late answer
    on_pulse: Pulses = lambda cheat, pulse: pulse
    seconds: float = 100.0  # within which it must be noticed
    done: int = 0  # how often it did something
    memory: dict[str, list[feed_pb2.Segment]] = field(default_factory=dict)
    pulses: dict[tuple[str, str], feed_pb2.Pulse] = field(default_factory=dict)

    def __call__(self, frame: bytes) -> Sequence[bytes]:
        message = sync_pb2.Frame.FromString(frame)
        kind = message.WhichOneof("frame")
        if kind == "segment" and message.segment.origin in self.origins:
            segment = self.on_segment(self, message.segment)
            if segment is None:
                return ()
            message = sync_pb2.Frame(segment=segment)
        elif kind == "disclose" and message.disclose.origin in self.origins:
            given = [
                (one.index, self.on_entry(self, one.entry)) for one in message.disclose.entries
            ]
            del message.disclose.entries[:]
            for index, entry in given:
                if entry is not None:
                    message.disclose.entries.add(index=index, entry=entry)
        elif kind == "pulse" and peek_pulse(message.pulse).origin in self.origins:
            message = sync_pb2.Frame(pulse=self.on_pulse(self, message.pulse))
        return (message.SerializeToString(),)


def _map_entries(
    segment: feed_pb2.Segment, change: Callable[[feed_pb2.Entry], feed_pb2.Item]
) -> feed_pb2.Segment:
    altered = feed_pb2.Segment()
    altered.CopyFrom(segment)
    del altered.items[:]
    for item in segment.items:
        altered.items.append(change(item.entry) if item.HasField("entry") else item)
    return altered


def _hide(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    """Every entry that the victim may read becomes a leaf hash, as if it were none of its."""

    def change(entry: feed_pb2.Entry) -> feed_pb2.Item:
        cheat.done += 1
        return feed_pb2.Item(hidden=leaf_hash(entry.leaf))

    return _map_entries(segment, change)


def _hide_some(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    """Every other one; the totals of a pulse agree with the last number then, the numbers don't."""
    altered = _map_entries(segment, lambda entry: feed_pb2.Item(entry=entry))
    at = segment.start
    for item in altered.items:
        if item.HasField("entry") and at % 2:
            item.CopyFrom(feed_pb2.Item(hidden=leaf_hash(item.entry.leaf)))
            cheat.done += 1
        at += len(item.hidden) // 32 or 1
    return altered


def _keep_back(cheat: Cheat, entry: feed_pb2.Entry) -> None:
    """Answers nothing."""


def _head_alone(cheat: Cheat, entry: feed_pb2.Entry) -> feed_pb2.Entry:
    """Shows that there is an entry, and none of what it says."""
    cheat.done += 1
    return feed_pb2.Entry(leaf=entry.leaf, openings=[o for o in entry.openings if o[0] == 0])


def _drop_openings(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    return _map_entries(segment, lambda entry: feed_pb2.Item(entry=_head_alone(cheat, entry)))


def _leaf_alone(cheat: Cheat, entry: feed_pb2.Entry) -> feed_pb2.Entry:
    cheat.done += 1
    return feed_pb2.Entry(leaf=entry.leaf)


def _drop_heads(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    return _map_entries(segment, lambda entry: feed_pb2.Item(entry=_leaf_alone(cheat, entry)))


def _swallow(cheat: Cheat, segment: feed_pb2.Segment) -> None:
    """The feed ends here, says the relay; its pulses it must pass on, or it looks dead."""
    cheat.done += len(segment.items) > 0


def _shorten(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    """Sends the first entry of the feed, and of the others only what proves the checkpoint."""
    hashes: list[bytes] = []
    for item in segment.items:
        if item.HasField("entry"):
            hashes.append(leaf_hash(item.entry.leaf))
        else:
            hashes += [item.hidden[at : at + 32] for at in range(0, len(item.hidden), 32)]
    kept = max(0, 1 - segment.start)
    if len(hashes) <= kept:
        return segment
    cheat.done += 1
    stop = segment.start + len(hashes)
    tail = build(segment.start + kept, hashes[kept:])
    if segment.rest:
        size = int(segment.checkpoint.split(b"\n")[1])
        rest = tuple(segment.rest[at : at + 32] for at in range(0, len(segment.rest), 32))
        tail = merge(tail, CompactRange(stop, size, rest))
    altered = feed_pb2.Segment()
    altered.CopyFrom(segment)
    altered.rest = b"".join(tail.hashes)
    first = segment.items[0] if segment.items else None
    del altered.items[:]
    if kept and first is not None:
        shown = first if first.HasField("entry") else feed_pb2.Item(hidden=first.hidden[:32])
        altered.items.append(shown)
    return altered


def _flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def _flipped_openings(cheat: Cheat, entry: feed_pb2.Entry) -> feed_pb2.Entry:
    cheat.done += 1
    return feed_pb2.Entry(leaf=entry.leaf, openings=map(_flip_last, entry.openings))


def _flip_openings(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    return _map_entries(segment, lambda e: feed_pb2.Item(entry=_flipped_openings(cheat, e)))


def _flip_leaves(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    def change(entry: feed_pb2.Entry) -> feed_pb2.Item:
        cheat.done += 1
        return feed_pb2.Item(
            entry=feed_pb2.Entry(leaf=_flip_last(entry.leaf), openings=entry.openings)
        )

    return _map_entries(segment, change)


def _flip_hidden(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    altered = _shorten(cheat, segment)
    if altered.rest:
        altered.rest = _flip_last(altered.rest)
    return altered


def _forge_signature(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    """One character of the origin's signature, so that it is still canonical base64."""
    cheat.done += 1
    lines = segment.checkpoint.split(b"\n")
    at = len(lines[4]) - 20
    other = b"A" if lines[4][at : at + 1] != b"A" else b"B"
    lines[4] = lines[4][:at] + other + lines[4][at + 1 :]
    altered = feed_pb2.Segment()
    altered.CopyFrom(segment)
    altered.checkpoint = b"\n".join(lines)
    return altered


def _replay(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    """Passes two states of a feed on, and then tells the first again and again."""
    passed = cheat.memory.setdefault(segment.origin, [])
    if segment.checkpoint not in [one.checkpoint for one in passed]:
        if len(passed) == 2:
            cheat.done += 1
            return passed[0]
        passed.append(segment)
    return segment


def _pass_on(cheat: Cheat, segment: feed_pb2.Segment) -> feed_pb2.Segment:
    return segment


def _repeat_pulse(cheat: Cheat, pulse: feed_pb2.Pulse) -> feed_pb2.Pulse:
    """Passes one pulse on, and then shows it again and again."""
    said = peek_pulse(pulse)
    first = cheat.pulses.setdefault((said.origin, said.reader), pulse)
    cheat.done += first != pulse
    return first


def cheats(origins: Iterable[str]) -> list[Cheat]:
    """One of every kind, about these feeds."""
    about = frozenset(origins)
    return [
        Cheat("hides entries", Code.WITHHELD, about, _hide, _keep_back),
        Cheat("hides some entries", Code.WITHHELD, about, _hide_some, _keep_back),
        Cheat("hides entries, then shows heads", Code.WITHHELD, about, _hide, _head_alone),
        Cheat("drops openings", Code.WITHHELD, about, _drop_openings, _keep_back),
        Cheat("drops heads", Code.WITHHELD, about, _drop_heads, _leaf_alone),
        Cheat("cuts the tail", Code.TAIL_CUT, about, _swallow),
        Cheat("shortens segments", Code.TAIL_CUT, about, _shorten),
        Cheat("flips openings", Code.OPENING_MISMATCH, about, _flip_openings, _flipped_openings),
        Cheat("flips leaves", Code.BAD_PROOF, about, _flip_leaves),
        Cheat("flips rest", Code.BAD_PROOF, about, _flip_hidden),
        Cheat("forges signatures", Code.BAD_SIGNATURE, about, _forge_signature),
        Cheat("replays an old head", Code.HEAD_REPLAYED, about, _replay),
        Cheat(
            "replays an old pulse",
            Code.HEAD_REPLAYED,
            about,
            _pass_on,
            on_pulse=_repeat_pulse,
            seconds=200.0,
        ),
    ]
