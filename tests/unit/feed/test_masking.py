"""Numbers that identify a person are hidden before a text leaves the village."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from huying.common.masking import mask

SEPARATORS = " \t\u3000-－–—.·/_()\u200b\u200d\ufeff"

digits = st.text("0123456789", min_size=0, max_size=12)
gap = st.text(SEPARATORS, max_size=3)
words = st.text("张三在村口说, 电话X：号x〔〕\n", max_size=6)
mobile = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
birth = st.dates().map(lambda day: f"{1900 + day.year % 200:04}{day.month:02}{day.day:02}")
id_18 = st.builds(
    lambda region, born, tail: region + born + tail,
    st.from_regex(r"[1-9][0-9]{5}", fullmatch=True),
    birth,
    st.from_regex(r"[0-9]{3}[0-9X]", fullmatch=True),
)
id_15 = st.builds(
    lambda region, born, tail: region + born[2:] + tail,
    st.from_regex(r"[1-9][0-9]{5}", fullmatch=True),
    birth,
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)
landline = st.from_regex(r"0(10|2[0-9]|[3-9][0-9]{2})[0-9]{7,8}", fullmatch=True)


@st.composite
def disguised(draw, numbers):
    """The number as people write it: separators in it, perhaps in full-width digits."""
    number = draw(numbers)
    if draw(st.booleans()):
        number = "".join(chr(ord(c) + 0xFEE0) for c in number)
    if draw(st.booleans()):
        number = "".join(c + draw(gap) for c in number[:-1]) + number[-1]
    return number


def plain(text):
    """The text in ASCII digits without separators, as somebody would read it who searches."""
    folded = unicodedata.normalize("NFKC", text)
    return re.sub("[" + re.escape(unicodedata.normalize("NFKC", SEPARATORS)) + "]", "", folded)


MOBILE = re.compile(r"1[3-9][0-9]{9}")
ID = re.compile(
    r"[1-9][0-9]{5}(18|19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
)


@given(
    st.lists(
        st.one_of(words, digits, disguised(mobile), disguised(id_18), disguised(id_15)), max_size=6
    )
)
@example(["3", "13800138000", "7"])
def test_no_mobile_or_id_number_survives_in_any_surroundings(parts):
    """One number that slips through is a person's number at the county, for good."""
    masked = plain(mask("".join(parts)).text)
    assert not MOBILE.search(masked)
    assert not ID.search(masked)


@given(words, st.one_of(disguised(mobile), disguised(id_18), disguised(id_15)), words)
def test_a_number_among_words_leaves_no_digit(before, number, after):
    """A number is hidden whole: its last digits would tell neighbours who it is."""
    result = mask(before + "问" + number + "答" + after)
    assert not re.search(r"\d", result.text)
    assert len(result.hits) == 1
    assert result.text.startswith(before + "问〔")


@given(words, landline, words)
def test_a_landline_with_its_area_code_is_hidden(before, number, after):
    """A home's landline names the household."""
    assert mask(f"{before}问{number[:4]}-{number[4:]}答{after}").hits[0].kind
    assert not re.search(r"\d", mask(f"{before}问{number}答{after}").text)


@given(st.text().filter(lambda text: not re.search(r"\d", text)))
def test_a_text_without_digits_is_unchanged(text):
    """Masking must not touch what people wrote."""
    result = mask(text)
    assert result.text == text
    assert result.hits == ()


@given(
    st.lists(st.one_of(words, digits, gap, mobile, id_15, landline), max_size=8).map("".join)
    | st.text("01389 -X〔", max_size=60)
)
def test_masking_twice_is_masking_once(text):
    """The text is shown, confirmed and masked again when it is written: it must not change."""
    once = mask(text).text
    assert mask(once).text == once
    assert mask(once).hits == ()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("联系13800138000。", "联系〔手机号〕。"),
        ("联系+86 138-0013-8000", "联系+86 〔手机号〕"),
        ("１３８００１３８０００", "〔手机号〕"),
        ("1 3 8 0 0 1 3 8 0 0 0", "〔手机号〕"),
        ("13800138000/13900139000", "〔手机号〕/〔手机号〕"),
        ("身份证37083019900101123x，男", "身份证〔证件号〕，男"),
        ("370830 19900101 123Ｘ", "〔证件号〕"),
        ("370830900101123", "〔证件号〕"),
        ("电话0537-7212345", "电话〔电话〕"),
        ("电话(0537)7212345转8", "电话(〔电话〕转8"),
        ("12 0537-7212345", "12 〔电话〕"),
        ("010-62345678", "〔电话〕"),
        ("2026年11月22日 3号楼201室 12345热线", "2026年11月22日 3号楼201室 12345热线"),
        ("罚款1200元,共37户", "罚款1200元,共37户"),
    ],
)
def test_examples(text, masked):
    """Numbers as village officials write them; dates, rooms and sums stay."""
    assert mask(text).text == masked


def test_hits_say_where_and_never_what():
    """The writer is shown the places; a log line with a hit must not carry the number."""
    result = mask("a 13800138000 b 0537-7212345")
    assert [(hit.kind, hit.start, hit.stop) for hit in result.hits] == [
        ("手机号", 2, 13),
        ("电话", 16, 28),
    ]
    assert "138" not in repr(result.hits)
