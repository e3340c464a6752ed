"""Notes are what nodes believe; the parser must have one reading of every byte."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, decode_decimal, encode_base64
from huying.common.feed.ed25519_keys import PUBLISHED_KEYS, SMALL_ORDER_KEYS, check_public_key
from huying.common.feed.note import (
    KeyType,
    Note,
    NoteSignature,
    Signer,
    VerifierKey,
    cosignature_message,
    format_note,
    parse_note,
    verify,
)
from huying.common.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from tests.support.places import DATA

VECTOR: dict[str, Any] = json.loads((DATA / "feed_vectors.json").read_text())["checkpoint"]
ORIGIN = Signer.from_seed(
    "wenshang.example/feed/370830100201/e1",
    KeyType.ORIGIN,
    bytes.fromhex(VECTOR["log_seed_hex"]),
)
WITNESS = Signer.from_seed(
    "wenshang.example/witness/370830100000",
    KeyType.COSIGNATURE,
    bytes.fromhex(VECTOR["witness_seed_hex"]),
)
NOTE: bytes = VECTOR["note"].encode()
LINE = NOTE.split(b"\n")[4]  # the origin's signature line


def signed(text: bytes, *signers: Signer) -> bytes:
    return format_note(
        Note(
            text,
            tuple(NoteSignature(s.name, s.key.key_id, s.sign_raw(text)) for s in signers),
        )
    )


def test_keys_are_written_as_in_the_vectors() -> None:
    """Keys are pinned in configuration files as this text."""
    assert str(ORIGIN.key) == VECTOR["log_vkey"]
    assert str(WITNESS.key) == VECTOR["witness_vkey"]
    assert VerifierKey.parse(VECTOR["log_vkey"]) == ORIGIN.key
    assert VerifierKey.parse(VECTOR["witness_vkey"]) == WITNESS.key


def test_the_note_of_the_vectors_parses_verifies_and_formats_back() -> None:
    """Byte exact, since it is the bytes that are signed."""
    note = parse_note(NOTE)
    assert note.text.decode() == VECTOR["text"]
    assert verify(note, [ORIGIN.key, WITNESS.key]) == note.signatures
    assert format_note(note) == NOTE


def test_lines_of_unknown_keys_are_ignored() -> None:
    """That is how other algorithms can be added to notes that old nodes still read."""
    note = parse_note(NOTE)
    assert verify(note, [WITNESS.key]) == note.signatures[1:]
    assert verify(note, []) == ()
    stranger = Signer.from_seed(ORIGIN.name, KeyType.ORIGIN, b"s" * 32)
    assert verify(note, [stranger.key]) == (), "same name, another id"


def test_a_known_key_with_a_bad_signature_rejects_the_note() -> None:
    """A note that anybody tampered with is not half believed."""
    for old, new in [(b"\n8\n", b"\n9\n"), (b"7/RgQyg=", b"7/RgQyw="), (b"e1\n8", b"e2\n8")]:
        assert old in NOTE
        with pytest.raises(HuyingError) as caught:
            verify(parse_note(NOTE.replace(old, new)), [ORIGIN.key])
        assert caught.value.code == Code.BAD_SIGNATURE


def test_every_flipped_bit_of_a_signed_note_is_noticed() -> None:
    """Either the note no longer parses, or a known key's line fails, or it is nobody's line."""
    whole = verify(parse_note(NOTE), [ORIGIN.key, WITNESS.key])
    for at in range(len(NOTE)):
        for bit in range(8):
            altered = NOTE[:at] + bytes([NOTE[at] ^ 1 << bit]) + NOTE[at + 1 :]
            try:
                noticed = verify(parse_note(altered), [ORIGIN.key, WITNESS.key]) != whole
            except HuyingError as error:
                noticed = error.code in (Code.BAD_NOTE, Code.BAD_SIGNATURE)
            assert noticed, f"byte {at}, bit {bit}"


def test_a_witness_signs_the_time_too() -> None:
    """Otherwise an old cosignature could be passed off as a fresh one."""
    note = parse_note(NOTE)
    line = note.signatures[1]
    later = (int.from_bytes(line.signature[:8], "big") + 1).to_bytes(8, "big")
    for blob in (later + line.signature[8:], line.signature[8:], b"\xff" * 8 + line.signature[8:]):
        altered = Note(note.text, (NoteSignature(line.name, line.key_id, blob),))
        with pytest.raises(HuyingError) as caught:
            verify(altered, [WITNESS.key])
        assert caught.value.code == Code.BAD_SIGNATURE


def test_a_cosignature_is_signed_over_the_text_of_the_specification() -> None:
    """c2sp.org/tlog-cosignature gives these two header lines."""
    assert cosignature_message(7, b"a\n1\nb\n") == b"cosignature/v1\ntime 7\na\n1\nb\n"


TEXT = b"text\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT,
        TEXT + b"\n",
        TEXT + LINE + b"\n",
        TEXT + b"\n" + LINE,
        TEXT + b"\n\n" + LINE,
        TEXT + b"\n" + LINE + b"\n\n",
        TEXT + b"\n" + LINE + b"\nx\n",
        TEXT + b"\n" + LINE + b" \n",
        TEXT + b"\n" + LINE + b"\r\n",
        TEXT + b"\n" + LINE.replace(b" ", b"  ") + b"\n",
        TEXT + b"\n" + LINE.removeprefix("— ".encode()) + b"\n",
        TEXT + b"\n" + LINE.replace("—".encode(), b"-") + b"\n",
        TEXT + b"\n" + LINE.replace("—".encode(), "–".encode()) + b"\n",
        TEXT + b"\n" + LINE.replace(b"/e1", b"/e+1") + b"\n",
        TEXT + b"\n" + LINE.replace(b"/e1", "/\u2028e1".encode()) + b"\n",
        TEXT + b"\n" + LINE.replace(b"/e1", "/\u00a0e1".encode()) + b"\n",
        TEXT + b"\n" + LINE.rstrip(b"=") + b"\n",
        TEXT + b"\n" + LINE + b"=\n",
        TEXT + b"\n" + LINE.replace(b"ntADAg=", b"ntADAh=") + b"\n",  # stray bits
        TEXT + b"\n" + LINE.replace(b"ctMEoa26", b"ctME-_26") + b"\n",
        TEXT + "\n— a ".encode() + base64.b64encode(b"1234") + b"\n",  # a key id alone
        TEXT + "\n— a \n".encode(),
        TEXT + "\n—  ctMEoa26\n".encode(),
        b"te\x00xt\n\n" + LINE + b"\n",
        b"te\txt\n\n" + LINE + b"\n",
        b"te\xffxt\n\n" + LINE + b"\n",
        b"te\xed\xa0\x80xt\n\n" + LINE + b"\n",
    ],
)
def test_a_note_out_of_form_is_refused(data: bytes) -> None:
    """Lenient parsing gives two readers two notes."""
    with pytest.raises(HuyingError) as caught:
        parse_note(data)
    assert caught.value.code == Code.BAD_NOTE


def test_only_a_newline_ends_a_line() -> None:
    """U+2028 and U+0085 are text; a parser that splits there can be shown another checkpoint."""
    text = "a\u2028b\u0085c\n\nd\n".encode()
    note = parse_note(signed(text, ORIGIN))
    assert note.text == text
    assert len(verify(note, [ORIGIN.key])) == 1


def test_a_note_has_its_limits() -> None:
    """A peer may append lines to a note that it passes on."""
    line = NoteSignature("a", b"1234", b"s")
    full = format_note(Note(TEXT, (line,) * NOTE_SIGNATURES_MAX))
    assert len(parse_note(full).signatures) == NOTE_SIGNATURES_MAX
    with pytest.raises(HuyingError, match="16 signatures"):
        parse_note(full + full.split(b"\n")[2] + b"\n")
    with pytest.raises(HuyingError, match="65536 bytes"):
        parse_note(b"x" * NOTE_BYTES_MAX + NOTE)
    assert len(parse_note(b"x" * (NOTE_BYTES_MAX - len(NOTE)) + NOTE).signatures) == 2


def test_what_would_not_parse_is_not_written() -> None:
    """A writer's mistake is found by the writer."""
    line = NoteSignature("a", b"1234", b"s")
    for note in (
        Note(b"no newline", (line,)),
        Note(TEXT, ()),
        Note(TEXT, (NoteSignature("a b", b"1234", b"s"),)),
        Note(TEXT, (NoteSignature("a", b"123", b""),)),
        Note(TEXT, (NoteSignature("a", b"123", b"45"),)),
    ):
        with pytest.raises(HuyingError) as caught:
            format_note(note)
        assert caught.value.code == Code.BAD_NOTE


names = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda name: "+" not in name and not any(c.isspace() or c < " " for c in name)
)
lines = st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1))
texts = st.text(st.characters(codec="utf-8").filter(lambda c: c >= " " or c == "\n")).map(
    lambda text: (text + "\n").encode()
)


@given(texts, st.lists(lines, min_size=1, max_size=16))
def test_every_note_reads_back_as_it_was_written(text: bytes, signatures: list[Any]) -> None:
    """Formatting and parsing are each other's inverse."""
    note = Note(text, tuple(signatures))
    assert parse_note(format_note(note)) == note


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: NOTE[:-20] + tail))
def test_whatever_parses_formats_back_to_itself(data: bytes) -> None:
    """And whatever does not is refused with the one code, never with another exception."""
    try:
        sound = format_note(parse_note(data)) == data
    except HuyingError as error:
        sound = error.code == Code.BAD_NOTE
    assert sound


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+72d304a1",
        VECTOR["log_vkey"] + " ",
        VECTOR["log_vkey"] + "=",
        VECTOR["log_vkey"].replace("+72d304a1+", "+72D304A1+"),
        VECTOR["log_vkey"].replace("+72d304a1+", "+72d304a2+"),
        VECTOR["log_vkey"].replace("+72d304a1+", "+ 72d304a1+"),
        VECTOR["log_vkey"].replace("/e1+", "/e2+"),
        VECTOR["log_vkey"].replace("+AQ", "+BA"),  # a type whose id does not match
        VECTOR["log_vkey"].replace("+AQ", "+Ag"),  # a type not understood
        VECTOR["log_vkey"].replace("+AQOh", "+ÀQOh"),
        "+72d304a1+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "name+72d304a1+",
        "name+72d304a1+AQ==",
    ],
)
def test_a_verifier_key_out_of_form_is_refused(text: str) -> None:
    """A mistyped pin must not become another pin."""
    with pytest.raises(HuyingError) as caught:
        VerifierKey.parse(text)
    assert caught.value.code == Code.KEY


def test_a_signer_does_not_show_its_key() -> None:
    """Signers end up in log lines and tracebacks."""
    seed = b"\x42" * 32
    signer = Signer.from_seed("a", KeyType.ORIGIN, seed)
    assert repr(signer) == f"Signer({signer.key})"
    assert seed.hex() not in f"{signer!r} {signer}"
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    with pytest.raises(HuyingError, match="32 bytes") as caught:
        Signer.from_seed("a", KeyType.ORIGIN, seed[:-1])
    assert "42" not in str(caught.value)


def test_a_signer_made_of_a_key_object_is_the_same() -> None:
    """Shells read keys from PEM files, tests from seeds."""
    seed = bytes.fromhex(VECTOR["log_seed_hex"])
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    assert Signer(ORIGIN.name, KeyType.ORIGIN, private_key).key == ORIGIN.key


def test_raw_signatures_serve_what_is_no_note() -> None:
    """Pulses are signed by the feed key under a label of their own."""
    signature = ORIGIN.sign_raw(b"huying/pulse/v1\nbody")
    ORIGIN.key.verify_raw(b"huying/pulse/v1\nbody", signature)
    for message, altered in [
        (b"huying/pulse/v1\nbodY", signature),
        (b"huying/pulse/v1\nbody", signature[:-1]),
        (b"huying/pulse/v1\nbody", b""),
        (b"huying/pulse/v1\nbody", bytes(64)),
    ]:
        with pytest.raises(HuyingError) as caught:
            ORIGIN.key.verify_raw(message, altered)
        assert caught.value.code == Code.BAD_SIGNATURE


def fooled(public_key: bytes, signature: bytes, messages: int) -> int:
    """For how many different messages the library takes this signature."""
    count = 0
    for number in range(messages):
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, b"%d" % number)
        except Exception:  # noqa: BLE001 - whatever says no says no
            continue
        count += 1
    return count


def test_for_a_small_order_key_one_signature_would_verify_every_message() -> None:
    """The reason why such keys are refused: the library itself takes them."""
    neutral = (1).to_bytes(32, "little")
    signature = neutral + bytes(32)  # R is the neutral point, S is zero
    assert fooled(neutral, signature, 50) == 50
    zeros = bytes(32)  # y = 0 has order 4: an all-zero signature fits one message in four
    assert 0 < fooled(zeros, bytes(64), 200) < 200


def test_small_order_keys_are_refused_in_every_encoding() -> None:
    """Eight points; those with a second spelling are refused in both."""
    assert len(SMALL_ORDER_KEYS) == 14
    assert (
        sum(fooled(key, (1).to_bytes(32, "little") + bytes(32), 64) > 0 for key in SMALL_ORDER_KEYS)
        >= 8
    )
    for key in SMALL_ORDER_KEYS:
        with pytest.raises(HuyingError, match="small order") as caught:
            VerifierKey("a", KeyType.ORIGIN, key)
        assert caught.value.code == Code.KEY


def test_published_odd_and_short_keys_are_refused() -> None:
    """A pin that can't be right is found when it is read, not when a feed stays silent."""
    assert (
        Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
        in PUBLISHED_KEYS
    )
    off_the_curve = (2).to_bytes(32, "little")
    beyond_the_field = (2**255 - 1).to_bytes(32, "little")
    for key in (*PUBLISHED_KEYS, off_the_curve, beyond_the_field, b"", bytes(31), bytes(33)):
        with pytest.raises(HuyingError) as caught:
            check_public_key(key)
        assert caught.value.code == Code.KEY


@given(st.binary(min_size=32, max_size=32))
def test_every_honest_key_is_accepted(seed: bytes) -> None:
    """The check must not lock out one key in a thousand."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    if key not in PUBLISHED_KEYS:
        check_public_key(key)


@given(st.binary())
def test_base64_reads_back_and_has_one_spelling(data: bytes) -> None:
    """`b64decode` would take line breaks, stray bits and missing padding."""
    text = encode_base64(data)
    assert decode_base64(text, Code.BAD_NOTE, "x") == data
    for other in (text + b"\n", b" " + text, text + b"=", text + b"A", text + b"===="):
        with pytest.raises(HuyingError, match="x"):
            decode_base64(other, Code.BAD_NOTE, "x")


def test_a_decimal_has_one_spelling_and_a_limit() -> None:
    """`int()` would take signs, spaces, underscores and other scripts' digits."""
    assert decode_decimal(b"0", 9, Code.BAD_NOTE, "x") == 0
    assert decode_decimal(b"281474976710656", 2**48, Code.BAD_NOTE, "x") == 2**48
    for text in ("", "-1", "+1", "01", "00", "1_0", " 1", "1 ", "1\n", "１", "١", "1e1", "9" * 99):
        with pytest.raises(HuyingError, match="x: not a canonical"):
            decode_decimal(text.encode(), 2**48, Code.BAD_NOTE, "x")
    with pytest.raises(HuyingError, match="x: over 9"):
        decode_decimal(b"10", 9, Code.BAD_NOTE, "x")
