"""Moving a node under another parent, with its keys and its feed as they are.

A token of the new parent is used as in a join, but the request shows the keys the node has. The
answer's pins are kept, and `[parent]` in node.toml names the new parent; everything else stays, so
the node goes on where its feed ended. The same parent at another address, or with another
certificate, is moved to in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.feed.note import VerifierKey
from huying.common.membership.join_token import JoinToken
from huying.node import config as config_module
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.integrity.known_keys import successors
from huying.node.membership.enrol import render_config, replace_file
from huying.node.membership.joining import make_request, take_answer
from huying.node.pins import PinFile

__all__ = ["Rehomed", "rehome", "rehome_request"]

_SECTION: Final = re.compile(r"^\[parent\][^\n]*\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rehomed:
    """Where the node stands now."""

    parent: PinFile
    before: str  # code of the parent it had; empty: it was a root
    root_changed: bool  # the root's key neither is the one pinned so far nor follows it
    state: str
    roster_index: int


def rehome_request(config: Config, token: JoinToken) -> bytes:
    """The request to the new parent. Raises HuyingError(CONFIG): a token of another node; KEY."""
    node = config.node
    if (node.network, node.code) != (token.network, token.code):
        raise HuyingError(
            Code.CONFIG, f"this node is {node.code} of {node.network}; the token is of {token.code}"
        )
    return make_request(config, token, keys.load_keys(config.keys_dir, node.network, node.code))


def rehome(config: Config, token: JoinToken, request: bytes, answer: bytes) -> Rehomed:
    """Take the new parent's answer: pins first, then the configuration, whole or not at all.

    The operator who brings a token vouches for the root it names. Raises as
    `huying.node.membership.joining.take_answer`; nothing is written then.
    """
    response, above = take_answer(token, request, answer)
    known = {pin.code: pin for pin in pins.above(config)}
    root = known.get(above[-1].code)
    text = config.file.read_text(encoding="utf-8")
    changed = _with_parent(text, token)
    config_module.parse(changed, config.file)
    for pin in above:
        pins.write(config.pins_dir / f"{pin.code}.toml", pin)
    for code in known.keys() - {pin.code for pin in above}:
        (config.pins_dir / f"{code}.toml").unlink()  # it stands on the line no more
    replace_file(config.file, changed)
    return Rehomed(
        parent=above[0],
        before="" if config.parent is None else config.parent.code,
        root_changed=root is not None and not _is_explained(config, root, above[-1]),
        state=response.state,
        roster_index=response.roster_index,
    )


def _is_explained(config: Config, root: PinFile, now: PinFile) -> bool:
    """Whether the root's key is as pinned, or the root itself said in its feed what follows it."""
    from huying.node.cli.offline import open_reader

    if root.feed_key == now.feed_key:
        return True
    try:
        with open_reader(config) as reader:
            return now.feed_key in successors(reader, VerifierKey.parse(root.feed_key))
    except HuyingError:
        return False  # a store that can't be read explains nothing


def _with_parent(text: str, token: JoinToken) -> str:
    """node.toml with another [parent]; every other line as it was."""
    section = render_config(
        {
            "parent": {
                "code": token.parent.code,
                "address": token.address or None,
                "fallback": token.fallback_address or None,
            }
        }
    ).split("\n\n", 1)[1]
    if _SECTION.search(text):
        return _SECTION.sub(lambda _found: section + "\n", text, count=1).rstrip("\n") + "\n"
    return text.rstrip("\n") + "\n\n" + section
