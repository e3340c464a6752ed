"""The audit trail on the screen: narrowed, page by page, and verified when somebody asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from huying.common.limits import INTEGER_MAX
from huying.node.web.access.audit import Audit, AuditRow
from huying.node.web.access.audit_words import action_word, outcome_word
from huying.node.web.access.roles import Permission
from huying.node.web.page import Ask, Nav, Page

__all__ = ["PAGES"]

_ROWS: Final = 50
_FILTERS: Final = ("actor", "action", "object", "from", "to")
_NUMBER_DIGITS_MAX: Final = 18


async def audit(ask: Ask) -> Response:
    """Rows of the trail, newest first."""
    wish = {name: ask.query(name) for name in _FILTERS}
    before = ask.query("before")
    number = int(before) if before.isdecimal() and len(before) <= _NUMBER_DIGITS_MAX else 0
    offset = await ask.node.offset_minutes()
    trail = ask.site.audit
    rows, actions, counts = await ask.site.on_thread(
        lambda: (
            _page(trail, wish, number, offset),
            trail.actions(),
            ask.site.throttle.counts(),
        )
    )
    more = len(rows) > _ROWS
    following = {**wish, "before": rows[_ROWS - 1].number} if more else {}
    return await ask.render(
        "audit.html",
        rows=rows[:_ROWS],
        said={row.action: action_word(ask, row.action) for row in rows},
        outcomes={row.outcome: outcome_word(ask, row.outcome) for row in rows},
        wish=wish,
        is_narrowed=any(wish.values()),
        actions=[(name, action_word(ask, name)) for name in actions],
        counts=counts,
        next_url=ask.url("audit", **following) if more else "",
        check=None,
    )


async def verify(ask: Ask) -> Response:
    """Compute the chain anew, and say what to note of it."""
    check = await ask.site.on_thread(ask.site.audit.verify)
    outcome = "done" if check.holds else "failed"
    await ask.audit("audit-verify", outcome=outcome)
    return await ask.render("audit_check.html", check=check)


def _page(trail: Audit, wish: dict[str, str], before: int, offset: int) -> tuple[AuditRow, ...]:
    times: dict[str, Any] = {
        "since_micros": _micros(wish["from"], offset, 0, 0),
        "until_micros": _micros(wish["to"], offset, 1, INTEGER_MAX),
    }
    # One more than is shown tells whether there is another page.
    return trail.page(
        before=before,
        count=_ROWS + 1,
        actor=wish["actor"],
        action=wish["action"],
        object_=wish["object"],
        **times,
    )


def _micros(day: str, offset_minutes: int, days_later: int, default: int) -> int:
    """The beginning of a local day, or of one after it; what is no day narrows nothing."""
    try:
        begin = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        begin += timedelta(days=days_later, minutes=-offset_minutes)
    except (ValueError, OverflowError):
        return default
    return int(begin.timestamp() * 1e6)


PAGES: Final = (
    Page("/audit", "audit", audit, Permission.PEOPLE, nav=Nav("审计", "Audit", 95)),
    Page("/audit/verify", "audit-verify", verify, Permission.PEOPLE, ("POST",), costly=True),
)
