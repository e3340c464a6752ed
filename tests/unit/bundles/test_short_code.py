"""The short code: what a person may do to it, and what must not pass."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.bundles.short_code import parse_short_code, short_code
from huying.common.errors import Code, HuyingError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECKS = ALPHABET + "*~$=U"  # of Crockford's base 32, for the value modulo 37


def refused(typed: str) -> str:
    with pytest.raises(HuyingError) as caught:
        parse_short_code(typed)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "mistyped" in caught.value.detail
    return caught.value.detail


@given(st.binary(min_size=16, max_size=16))
def test_a_code_is_read_back_however_people_write_it(secret: bytes) -> None:
    """Small letters, no hyphens, blanks, and letters that look like digits."""
    code = short_code(secret)
    loose = code.replace("-", "").replace("0", "o").replace("1", "l").lower()
    for typed in (
        code,
        code.lower(),
        loose,
        loose.replace("l", "i"),
        f" {code.replace('-', ' ')} ",
    ):
        assert parse_short_code(typed) == code


@given(st.binary(min_size=16, max_size=16))
def test_its_last_character_is_crockfords_check_symbol(secret: bytes) -> None:
    """Whoever has the standard at hand can check a code; none of the five odd symbols is used."""
    code = short_code(secret).replace("-", "")
    digits, check = code[:-1], code[-1]
    value = 0
    for digit in digits:
        value = 32 * value + ALPHABET.index(digit)
    assert CHECKS[value % 37] == check
    assert check in ALPHABET


@given(st.binary(min_size=16, max_size=16))
def test_no_single_slip_passes(secret: bytes) -> None:
    """One wrong character, or any two that changed places."""
    text = short_code(secret).replace("-", "")
    for place, other in itertools.product(range(12), ALPHABET):
        if text[place] != other:
            refused(text[:place] + other + text[place + 1 :])
    for first, second in itertools.combinations(range(12), 2):
        swapped = list(text)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        if swapped != list(text):
            refused("".join(swapped))


@pytest.mark.parametrize(
    "typed", ["", "7K3D", "7K3D-9QXM-0VTA-1", "7K3D-9QXM-0VU*", "　", "七K3D-9QXM-0VT"]
)
def test_what_is_no_code_is_named_so(typed: str) -> None:
    """The operator should look at the paper again, and not for another bundle."""
    refused(typed)


def test_codes_of_two_secrets_differ() -> None:
    """55 bits: nobody hits another bundle's code by chance."""
    codes = {short_code(number.to_bytes(16, "big")) for number in range(2000)}
    assert len(codes) == 2000
