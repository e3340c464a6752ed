"""Join tokens: every way to damage one is caught before anything is asked of anybody."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import encode_base64
from huying.common.limits import TOKEN_CHARACTERS_MAX
from huying.common.membership.join_token import (
    SECRET_BYTES,
    JoinToken,
    format_token,
    mac_key,
    parse_token,
    token_id,
)
from huying.common.membership.roster import Pin
from huying.wire.v1 import enrol_pb2
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE, pin

PREFIX = "huying-join-"


def bare(code: str, certificate: bytes = b"") -> Pin:
    known = pin(code)
    return Pin(code, known.name, known.feed_key, known.witness_key, certificate)


def token(**changed) -> JoinToken:
    whole = JoinToken(
        network=NETWORK,
        code=VILLAGE,
        name="义桥村",
        secret=bytes(range(SECRET_BYTES)),
        expires_seconds=1_700_086_400,
        parent=bare(TOWN, b"\x07" * 32),
        root=bare(COUNTY),
        address="10.0.0.2:7400",
        fallback_address="203.0.113.9:7400",
    )
    return replace(whole, **changed)


def wrapped(message: enrol_pb2.JoinToken) -> str:
    """The text of any message, its checksum as it should be: what a forger would write."""
    data = message.SerializeToString(deterministic=True)
    data += hashlib.sha256(data).digest()[:4]
    return PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")


def unwrapped(text: str) -> enrol_pb2.JoinToken:
    body = text.removeprefix(PREFIX)
    data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return enrol_pb2.JoinToken.FromString(data[:-4])


def refused(text: str) -> str:
    with pytest.raises(HuyingError) as caught:
        parse_token(text)
    assert caught.value.code is Code.TOKEN_MALFORMED
    return caught.value.detail


def test_a_token_reads_back_as_it_was_written():
    """It names whom to trust: a field that got lost would be found out far from here."""
    for one in (
        token(),
        token(address="", fallback_address=""),
        token(parent=bare(COUNTY, b"\x07" * 32)),
        token(epoch=3, name=""),
    ):
        text = format_token(one)
        assert parse_token(text) == one
        assert parse_token(f"  {text}\n") == one
        assert len(text) < TOKEN_CHARACTERS_MAX


@given(place=st.integers(min_value=0), other=st.characters(min_codepoint=33, max_codepoint=126))
def test_a_token_with_one_other_character_is_caught_here(place: int, other: str):
    """Tokens are copied by hand and by chat programs; nobody is asked with a damaged one."""
    text = format_token(token())
    place %= len(text)
    if text[place] == other:
        return
    detail = refused(text[:place] + other + text[place + 1 :])
    shown = text[place : place + 12]
    assert place < len(PREFIX) or len(shown) < 12 or shown not in detail


@given(cut=st.integers(min_value=1))
def test_a_token_that_was_cut_is_caught_here(cut: int):
    """The end is what a chat window drops."""
    text = format_token(token())
    refused(text[: -(cut % len(text)) or None] if cut % len(text) else "")


@pytest.mark.parametrize(
    "text",
    ["", "huying-join-", "hello", PREFIX + "=" * 8, PREFIX + "é", PREFIX + "A" * 5000, "\n\n"],
)
def test_what_is_no_token_at_all_is_refused(text):
    """A password, a path, an empty line of a pipe."""
    refused(text)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: setattr(m, "version", 2), "version 2"),
        (lambda m: setattr(m, "secret", b"\x01" * 8), "secret"),
        (lambda m: setattr(m, "network", "Not A Network"), "network"),
        (lambda m: setattr(m, "code", "370831108201"), "parent: not above"),
        (lambda m: setattr(m, "code", TOWN), "parent: not above"),
        (lambda m: m.root.CopyFrom(unwrapped_keys(VILLAGE)), "root: not above"),
        (lambda m: setattr(m, "certificate_sha256", b""), "certificate_sha256"),
        (lambda m: setattr(m, "epoch", 0), "epoch"),
        (lambda m: setattr(m, "address", "no port"), "address"),
        (lambda m: setattr(m, "fallback_address", "a b:1"), "address"),
        (lambda m: setattr(m, "name", "a\nb"), "name"),
        (lambda m: setattr(m.parent, "feed_key", m.root.feed_key), "feed_key"),
        (lambda m: setattr(m.parent, "witness_key", m.parent.feed_key), "witness_key"),
        (lambda m: setattr(m.root, "feed_key", weak_key(COUNTY)), "small order"),
    ],
)
def test_a_token_that_says_something_impossible_is_refused(change, what):
    """The checksum shows damage, not honesty: what a token says is checked like anybody's word."""
    message = unwrapped(format_token(token()))
    change(message)
    assert what in refused(wrapped(message))


def unwrapped_keys(code: str) -> enrol_pb2.TokenKeys:
    known = pin(code)
    return enrol_pb2.TokenKeys(
        code=code, name=known.name, feed_key=known.feed_key, witness_key=known.witness_key
    )


def weak_key(code: str) -> str:
    """A key of small order, under which one signature fits every message."""
    name, material = f"{NETWORK}/feed/{code}/e1", b"\x01" + b"\x00" * 32
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex()
    return f"{name}+{key_id}+{encode_base64(material).decode()}"


def test_what_the_parent_keeps_does_not_give_the_secret_away():
    """A file that leaks after its token expired must be worth nothing."""
    secret = bytes(range(SECRET_BYTES))
    assert secret not in mac_key(secret) + token_id(secret)
    assert token_id(secret) not in mac_key(secret)
    assert mac_key(secret) != mac_key(secret[::-1])
    assert str(secret) not in repr(token())
