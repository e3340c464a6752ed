"""Which passwords may be chosen, and what a hash may cost."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access import passwords
from huying.node.web.access.breached import is_breached
from huying.node.web.access.password_rules import check_password_choice
from huying.node.web.access.passwords import COST, Cost, Hashing, draw_password

KNOWN = ("zhang.san", "张三", "汶上县", "wenshang")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "correct-horse-battery-9",
        "麦田里的红拖拉机又坏了一台",
        "xK4#vq9!Lm2$",
        "v7#Tq-9m!bZx2",
        "tuolaji huaile maitian",
        "die Kuh im Regen 17",
        "   spaces count too   ",
        "p" + "q7w!z3" * 3 + "x",
        "é" * 3 + "plomb vert sable",
        "x" * 10 + "q8#mL2@vT",
        pytest.param(draw_password(), id="drawn"),  # another one in every process
    ],
)
def test_a_long_password_that_is_nobodys_habit_is_taken(password: str) -> None:
    """A rule that refuses good passwords teaches people to write bad ones on paper."""
    check_password_choice(password, KNOWN)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short1!",
        "elevenchars",
        "x" * 129,
        "123456789012",
        "passwordpassword",
        "Password123!!",
        "P@ssw0rd2026!",
        "admin1234567",
        "qwertyuiop[]",
        "1qaz2wsx3edc",
        "1q2w3e4r5t6y",
        "qwerty123456",
        "iloveyou1314",
        "woaini5201314",
        "woaizhongguo1",
        "aaaaaaaaaaaa",
        "abababababab",
        "abcabcabcabc",
        "abcdefghijklm",
        "987654321098",
        "19491001-1001",
        "2026-10-08 2026",
        "zhangsan2026!",
        "Zhang.San1234",
        "wenshang2026#",
        "汶上县汶上县汶上县2026",
        "为人民服务为人民服务为人民",
        "huying@2026!!",
        "HuYing-HuYing1",
        "112233445566",
        "147258369147",
        "qazwsxedcrfv",
        "13812345678a",
        "            ",
        "!!!!!!!!!!!!",
        "letmein letmein",
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    """An attacker who is slowed down to some tries an hour begins with these."""
    with pytest.raises(HuyingError) as caught:
        check_password_choice(password, KNOWN)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert not password.strip() or password not in caught.value.detail


def test_the_rule_covers_more_than_a_list_of_the_commonest() -> None:
    """ASVS 5.0, 6.2.4 asks for the 3,000 commonest that a policy lets through: these are more."""
    words = ("password", "qwerty", "admin", "woaini", "huying", "zhongguo", "iloveyou", "welcome",
             "dragon", "monkey", "beijing", "wangge")  # fmt: skip
    ends = ("123456", "2026!!", "@2025", "5201314", "888888", "!@#123", "1314520", "abc123")
    shapes: tuple[Callable[[str], str], ...] = (str, str.upper, str.capitalize)
    joints = ("", "-", "_", "@", ".", "#", " ", "!", "++", "--", "**", "~")
    tried = 0
    for word, joint, end, shape in itertools.product(words, joints, ends, shapes):
        candidate = (shape(word) + joint + end).ljust(limits.PASSWORD_CHARACTERS_MIN, "1")
        tried += 1
        with pytest.raises(HuyingError):
            check_password_choice(candidate)
    assert tried > 3000


def test_a_drawn_password_can_be_read_out_and_never_comes_twice() -> None:
    """It is told over a counter or a telephone; an l that is a 1 costs a second visit."""
    drawn = {draw_password() for _ in range(200)}
    assert len(drawn) == 200
    letters = set("".join(drawn)) - {"-"}
    assert not letters & set("l1o0iIO")
    assert {len(one) for one in drawn} == {23}


def test_the_cost_is_what_the_documents_say() -> None:
    """Nobody may lower it in passing."""
    assert Cost(19 * 1024, 3, 1) == COST
    encoded = Hashing().hash("x")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=3,p=1$")


def test_no_more_than_two_hashes_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of sign-ins must not take a village's memory; who can't be served is told."""
    monkeypatch.setattr(limits, "PASSWORD_HASH_WAIT_SECONDS", 0.01)
    inside, most, lock = [0], [0], threading.Lock()
    gate = threading.Event()
    hashing = Hashing(Cost(8, 1))

    class Slow:
        def hash(self, _password: bytes) -> str:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            gate.wait(10)
            with lock:
                inside[0] -= 1
            return "x"

    hashing._hasher = Slow()  # type: ignore[assignment]
    threads = [threading.Thread(target=hashing.hash, args=("x",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while inside[0] < 2:
        threading.Event().wait(0.001)
    with pytest.raises(HuyingError) as caught:
        hashing.hash("x")
    gate.set()
    for thread in threads:
        thread.join()
    assert caught.value.code is Code.BUSY
    assert most[0] == limits.PASSWORD_HASHES_MAX
    assert passwords.Hashing(Cost(8, 1)).hash("x")  # the places are free again


def listed(folder: Path, *words: str, count: int = 1000, ending: str = ":7\n") -> Path:
    """A sorted list of these words among others, as Have I Been Pwned's is."""
    hashes = [hashlib.sha1(word.encode()).hexdigest().upper() for word in words]
    hashes += [hashlib.sha1(b"%d" % number).hexdigest().upper() for number in range(count)]
    file = folder / "breached.txt"
    file.write_text("".join(one + ending for one in sorted(hashes)), "ascii")
    return file


@pytest.mark.parametrize("ending", [":7\n", "\n", ":1234567\r\n"])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_a_password_of_a_breach_is_found_in_the_file(
    tmp_path: Path, count: int, ending: str
) -> None:
    """A long password that stands in every attacker's list is short."""
    listed(tmp_path, "correct horse battery", count=count, ending=ending)
    with pytest.raises(HuyingError) as caught:
        check_password_choice("correct horse battery", folder=tmp_path)
    assert caught.value.code is Code.INVALID_ARGUMENT
    check_password_choice("another horse battery", folder=tmp_path)
    assert all(is_breached(tmp_path, str(number)) for number in range(count))


def test_without_the_file_nothing_is_refused_and_a_wrong_file_is_named(tmp_path: Path) -> None:
    """A file that silently matches nothing is worse than none."""
    check_password_choice("correct horse battery", folder=tmp_path)
    (tmp_path / "breached.txt").write_bytes(b"")
    check_password_choice("correct horse battery", folder=tmp_path)
    for content in (b"not a list\n" * 50, b"A" * 5000, b"0" * 39 + b"\n"):
        (tmp_path / "breached.txt").write_bytes(content)
        with pytest.raises(HuyingError) as caught:
            check_password_choice("correct horse battery", folder=tmp_path)
        assert caught.value.code is Code.CONFIG
        assert "breached.txt" in caught.value.detail
