"""What a check of `huying doctor` finds, and how it is told."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common.errors import ADVICE, Code

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["Check", "Finding", "Outcome", "exit_code"]


class Outcome(enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do where it is not well."""

    name: str
    outcome: Outcome
    detail: str
    advice_zh: str = ""
    advice_en: str = ""
    detail_zh: str = ""  # what was found, without the names and numbers that `detail` holds
    code: Code = Code.STORE_FAILED  # of a failure: whose exit code the command ends with


Check = Callable[["Config"], Iterator[Finding]]


def exit_code(findings: list[Finding]) -> int:
    """0 where nothing failed; else that of the first failure. A warning leaves it at 0."""
    failed = [finding for finding in findings if finding.outcome is Outcome.FAIL]
    return ADVICE[failed[0].code].exit_code if failed else 0
