"""The child's side of a join: keys are made, shown to the parent with the token, and answered.

    DIR/joining.toml    what will be node.toml
    DIR/join.token      the token, mode 0600
    DIR/join.request    what was sent

These three stand while a join is under way. One that was cut can be repeated with the same token:
the keys that lie there are used again, and the parent knows them. Behind a gap the request and the
answer travel as files; the parent's address is then left out, and no link is ever dialled.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.membership.join_request import (
    check_response,
    parse_request,
    parse_response,
    prove_request,
)
from huying.common.membership.join_token import JoinToken, mac_key, parse_token, token_id
from huying.common.membership.roster import Pin
from huying.node import config as config_module
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.keys import Keys
from huying.node.membership.enrol import (
    CONFIG_FILE,
    Initialised,
    complete,
    prepare,
    render_config,
    replace_file,
)
from huying.node.pins import PinFile
from huying.wire.v1 import enrol_pb2

__all__ = [
    "Joined",
    "Joining",
    "Wishes",
    "begin",
    "finish",
    "in_progress",
    "join_beside",
    "make_request",
    "take_answer",
]

_DRAFT_FILE: Final = "joining.toml"
_TOKEN_FILE: Final = "join.token"  # noqa: S105  # a file's name
_REQUEST_FILE: Final = "join.request"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator of the new node decides, as addresses HOST:PORT."""

    name: str = ""  # empty: as the token says
    sync_listen: str | None = None  # absent: it takes no children
    sync_advertise: str | None = None
    api_listen: str = "127.0.0.1:7401"
    metrics_listen: str | None = None
    console_listen: str | None = None
    dial: bool = True  # False: the parent is reached by files alone
    timing: dict[str, float] | None = None
    capture_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """A whole node, enrolled."""

    made: Initialised
    parent: PinFile
    state: str  # enrolled, or waiting where the grandparent's operator has to confirm the key
    roster_index: int


@dataclass(frozen=True, slots=True)
class Joining:
    """A join under way."""

    config: Config
    text: str
    token: JoinToken
    keys: Keys
    request: bytes


def begin(folder: Path, token: JoinToken, token_text: str, wishes: Wishes) -> Joining:
    """Make the new node's keys and its request, or take up those of an attempt that was cut.

    Raises HuyingError(CONFIG): a node is here already, or another one is being joined here, or a
    setting is out of range; INVALID_ARGUMENT where nobody gave the node a name; KEY.
    """
    if (folder / CONFIG_FILE).exists():
        raise HuyingError(
            Code.CONFIG, f"{folder / CONFIG_FILE}: a node is here already; it is never overwritten"
        )
    text = _config_text(token, wishes)
    config = config_module.parse(text, folder / CONFIG_FILE)
    draft = folder / _DRAFT_FILE
    if draft.exists():
        before = config_module.parse(draft.read_text(encoding="utf-8"), folder / CONFIG_FILE)
        if (before.node.network, before.node.code) != (token.network, token.code):
            raise HuyingError(
                Code.CONFIG,
                f"{folder}: {before.node.code} is being joined here; choose another folder",
            )
        made = _keys_so_far(config, token.epoch)
    elif any(config.keys_dir.glob("*.key")):
        raise HuyingError(Code.CONFIG, f"{config.keys_dir}: keys are here already")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        replace_file(draft, text)
        made = prepare(config, token.epoch)
    replace_file(draft, text)
    _write_private(folder / _TOKEN_FILE, token_text.strip() + "\n")
    request = make_request(config, token, made)
    _write_private_bytes(folder / _REQUEST_FILE, request)
    return Joining(config, text, token, made, request)


def in_progress(folder: Path) -> Joining:
    """The join that waits in `folder` for its answer.

    Raises HuyingError: NOT_FOUND, KEY, CONFIG, TOKEN_MALFORMED.
    """
    try:
        text = (folder / _DRAFT_FILE).read_text(encoding="utf-8")
        request = (folder / _REQUEST_FILE).read_bytes()
        token_text = keys.read_private(folder / _TOKEN_FILE).decode("ascii", "replace")
    except (OSError, UnicodeDecodeError):
        raise HuyingError(
            Code.NOT_FOUND, f"{folder}: no join is under way here; begin with --request"
        ) from None
    config = config_module.parse(text, folder / CONFIG_FILE)
    made = keys.load_keys(config.keys_dir, config.node.network, config.node.code)
    return Joining(config, text, parse_token(token_text), made, request)


def finish(joining: Joining, data: bytes) -> Joined:
    """Check the parent's answer and make the node whole.

    Raises HuyingError(JOIN_REFUSED) for an answer that is altered or not to this request, and
    HuyingError(KEY) for pins that are not those the token names. Nothing is written then.
    """
    response, above = take_answer(joining.token, joining.request, data)
    for pin in above:
        pins.write(joining.config.pins_dir / f"{pin.code}.toml", pin)
    made = complete(joining.config, joining.keys, joining.text)
    folder = joining.config.file.parent
    for name in (_TOKEN_FILE, _REQUEST_FILE, _DRAFT_FILE):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    return Joined(made, above[0], response.state, response.roster_index)


def join_beside(parent: Config, folder: Path, code: str, wishes: Wishes) -> Joined:
    """A child of a node on this machine that does not run: token, request and answer in one go.

    Raises HuyingError: NODE_RUNNING, or as issuing, `begin` and `finish` do.
    """
    import time

    from huying.node.admin import handler
    from huying.node.admin.offline import carry_out
    from huying.node.membership.invites import InviteFolder, issue
    from huying.node.membership.offers import make_offer
    from huying.wire.v1 import admin_pb2

    offer = make_offer(parent, code, wishes.name)
    text, _ = issue(InviteFolder(parent.invites_dir), offer, 1.0, time.time())
    joining = begin(folder, parse_token(text), text, wishes)
    request = admin_pb2.EnrolByFileRequest(request=joining.request)
    return finish(joining, carry_out(parent, handler("EnrolByFile"), request).response)


def make_request(config: Config, token: JoinToken, made: Keys) -> bytes:
    """An EnrolRequest with its proofs, by keys that are made."""
    import ssl

    request = enrol_pb2.EnrolRequest(
        network=config.node.network,
        code=config.node.code,
        name=config.node.name,
        token_id=token_id(token.secret),
        feed_key=str(made.identity.feed_signer.key),
        witness_key=str(made.identity.witness_signer.key),
        certificate=ssl.PEM_cert_to_DER_cert(made.tls.certificate_pem.decode()),
        hpke_key=made.hpke.public_key,
        address=config.sync.advertise or config.sync.listen or "",
    )
    prove_request(
        request,
        mac_key(token.secret),
        made.identity,
        lambda message: keys.sign_by_tls(made.tls, message),
    )
    return request.SerializeToString()


def take_answer(
    token: JoinToken, request: bytes, data: bytes
) -> tuple[enrol_pb2.EnrolResponse, list[PinFile]]:
    """The answer, and the pins of all above, nearest first. Raises as `finish`."""
    response = parse_response(data)
    check_response(response, mac_key(token.secret), parse_request(request))
    above = [pins.parse(text, "the answer") for text in response.pins]
    line = [pin.code for pin in above]
    if not above or line != [code for code in codes.ancestors(token.code) if code in line]:
        raise HuyingError(Code.KEY, "the answer: not the pins of this node's ancestors")
    parent, root = above[0], above[-1]
    if not _same_keys(parent, token.parent) or not _same_keys(root, token.root):
        raise HuyingError(Code.KEY, "the answer: other keys than the token names")
    if parent.certificate_sha256 != token.parent.certificate_sha256:
        raise HuyingError(Code.KEY, "the answer: another certificate than the token names")
    return response, above


def _same_keys(file: PinFile, pin: Pin) -> bool:
    known = (file.code, file.feed_key, file.witness_key)
    return known == (pin.code, pin.feed_key, pin.witness_key)


def _config_text(token: JoinToken, wishes: Wishes) -> str:
    # A node that nobody named goes by its code; its operator names it in node.toml.
    name = wishes.name or token.name or token.code
    dial = wishes.dial and token.address
    return render_config(
        {
            "node": {"network": token.network, "code": token.code, "name": name},
            "sync": {"listen": wishes.sync_listen, "advertise": wishes.sync_advertise},
            "parent": {
                "code": token.parent.code,
                "address": token.address if dial else None,
                "fallback": (token.fallback_address or None) if dial else None,
            },
            "api": {"listen": wishes.api_listen},
            "metrics": {"listen": wishes.metrics_listen},
            "console": {"listen": wishes.console_listen},
            "timing": dict(wishes.timing or {}),
            "debug": {"capture_dir": wishes.capture_dir},
        }
    )


def _keys_so_far(config: Config, epoch: int) -> Keys:
    """The keys of the attempt before, or new ones where it had not come so far."""
    try:
        made = keys.load_keys(config.keys_dir, config.node.network, config.node.code)
    except HuyingError:
        if (config.file.parent / _REQUEST_FILE).exists():
            raise
        # Nothing was sent before every key stood, so nobody knows those that do.
        for path in (*config.keys_dir.glob("*"), config.token_file):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        return prepare(config, epoch)
    if codes.parse_origin(made.identity.origin).epoch != epoch:
        raise HuyingError(
            Code.CONFIG, f"{config.keys_dir}: keys of another epoch; choose another folder"
        )
    return made


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    keys.write_private(path, text)


def _write_private_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    temporary.replace(path)
