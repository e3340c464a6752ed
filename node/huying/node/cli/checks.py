"""The checks of `huying doctor`, in order. Each looks at one thing, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from huying.common.errors import HuyingError
from huying.node.cli import check_link, check_machine, check_store, check_trust
from huying.node.cli.finding import Check, Finding, Outcome

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["CHECKS", "examine"]

# The first trouble is the likeliest cause of those behind it.
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("versions", check_machine.versions),
    ("clock", check_machine.clock),
    ("disk", check_machine.disk),
    ("keys", check_trust.private_keys),
    ("certificate", check_trust.certificates),
    ("store", check_store.store),
    ("sqlite", check_store.sqlite),
    ("mark", check_store.mark),
    ("erasures", check_store.erasures),
    ("backup", check_store.backup),
    ("ports", check_machine.ports),
    ("parent", check_link.parent),
    ("node", check_link.node),
    ("roster", check_link.roster),
)


def examine(config: Config) -> list[Finding]:
    """Every check."""
    findings: list[Finding] = []
    for name, check in CHECKS:
        try:
            findings.extend(check(config))
        except HuyingError as error:
            advice = error.advice
            detail = f"{error.code.name}: {error.detail}"
            findings.append(
                Finding(name, Outcome.FAIL, detail, advice.zh, advice.en, code=error.code)
            )
    return findings
