"""What a join token will say: from the parent's files and store, whether or not the node runs."""

from __future__ import annotations

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.membership.roster import Pin
from huying.node import pins
from huying.node.config import Config, split_address
from huying.node.membership.invites import Offer

__all__ = ["make_offer"]

_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # listened on, and nobody can dial it


def make_offer(config: Config, code: str, name: str = "", fallback: str = "") -> Offer:
    """The offer to the division `code`; its name, where none is given, is the one known here.

    Raises HuyingError(INVALID_ARGUMENT): no code, or no address; CONFIG where children can't be
    told what to dial; KEY.
    """
    codes.parse_code(code, "CODE")
    line = pins.own_line(config)
    own, root = line[0], line[-1]
    if fallback:
        try:
            split_address(fallback)
        except ValueError as error:
            raise HuyingError(Code.INVALID_ARGUMENT, f"--fallback: {error}") from None
    if own.address and split_address(own.address)[0] in _ANYWHERE:
        raise HuyingError(
            Code.CONFIG,
            f"[sync] advertise: missing; children can't dial {own.address}, say what they should",
        )
    known_name, epoch = _known(config, code)
    return Offer(
        network=config.node.network,
        code=code,
        name=name or known_name,
        parent=_bare(own.pin()),
        root=_bare(root.pin()),
        address=own.address,
        fallback_address=fallback,
        epoch=epoch,
    )


def _bare(pin: Pin) -> Pin:
    """Just what a token carries of a node."""
    return Pin(pin.code, pin.name, pin.feed_key, pin.witness_key, pin.certificate_sha256)


def _known(config: Config, code: str) -> tuple[str, int]:
    """(name, the epoch that a new key would begin) of a division, as far as it is known here."""
    from huying.node.cli.offline import known_names, open_reader

    with open_reader(config) as reader:
        names = known_names(config, reader)
        origins = [feed.origin for feed in reader.feeds()]
        origins += [member.feed_key.split("+", 1)[0] for member in reader.members()]
    found = [codes.parse_origin(origin) for origin in origins]
    return names.get(code, ""), 1 + max((one.epoch for one in found if one.code == code), default=0)
