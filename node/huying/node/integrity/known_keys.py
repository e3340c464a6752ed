"""Every public key this node has reason to know: its own, its pins', and those its feeds name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError, Message

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.feed.note import KeyType, VerifierKey
from huying.common.membership.succession import open_succession
from huying.common.records.registry import decode
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.store.content import message_bytes, peek_head
from huying.node.store.reader import Reader
from huying.wire.v1 import trust_pb2

__all__ = ["KnownKeys", "known_keys", "named_keys", "statements", "successors"]


@dataclass(slots=True)
class KnownKeys:
    """Verifier keys. Of two for one name the first counts: pins come before what feeds say."""

    feeds: dict[str, VerifierKey] = field(default_factory=dict)  # by origin
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)  # by name and id

    def add(self, text: str) -> None:
        """Take a key in, or pass one over that is malformed or weak: it verifies nothing."""
        try:
            key = VerifierKey.parse(text)
        except HuyingError:
            return
        if key.type is KeyType.ORIGIN:
            self.feeds.setdefault(key.name, key)
        else:
            self.witnesses.setdefault(f"{key.name}+{key.key_id.hex()}", key)


def known_keys(config: Config, reader: Reader) -> KnownKeys:
    """The keys. Raises HuyingError(KEY) where the own or a pin can't be read."""
    known = KnownKeys()
    identity = keys.load_identity(config.keys_dir, config.node.network, config.node.code)
    known.add(str(identity.feed_signer.key))
    known.add(str(identity.witness_signer.key))
    for path in sorted(config.keys_dir.glob("feed-e*.vkey")):  # of epochs that are closed
        known.add(path.read_text(encoding="ascii", errors="replace").strip())
    for pin in pins.load_folder(config.pins_dir):
        known.add(pin.feed_key)
        known.add(pin.witness_key)
    for text in named_keys(reader):
        known.add(text)
    return known


def named_keys(reader: Reader) -> Iterator[str]:
    """The keys that statements name, in the order in which they were accepted."""
    for _, message in statements(reader):
        yield from _texts(message)


def statements(reader: Reader) -> Iterator[tuple[str, Message]]:
    """(writer's code, message) of every statement that can be read, in the journal's order."""
    codes = {feed.feed_id: parse_origin(feed.origin).code for feed in reader.feeds()}
    for feed_id, _, entry in reader.statements():
        try:
            head = peek_head(entry.openings)
            code = codes[feed_id]
            yield code, decode(head, code, message_bytes(entry.openings))
        except (HuyingError, DecodeError, KeyError):
            continue


def successors(reader: Reader, key: VerifierKey) -> set[str]:
    """The keys that follow `key` by the word of each before: its Close, signed by it, and so on.

    A Close that was held back, or that another writer made up, names nothing here.
    """
    code = parse_origin(key.name).code
    followed = {key.name: key}
    for writer, message in statements(reader):
        if writer != code or not isinstance(message, trust_pb2.Close):
            continue
        with contextlib.suppress(HuyingError):
            before = followed.get(message.succession.origin)
            succession = open_succession(message.succession, before)
            if succession.is_explained:
                followed.setdefault(succession.key.name, succession.key)
    return {str(one) for one in followed.values()} - {str(key)}


def _texts(message: Message) -> Iterator[str]:
    for descriptor, value in message.ListFields():
        if descriptor.name in ("feed_key", "witness_key"):
            yield value
        elif descriptor.name == "succession":
            yield from _texts(value)
