"""Asking the villages below, and putting their answers together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from huying.common.census.tally import combine, question_draft, tally_fault, tally_record
from huying.common.census.template import Template, months_over
from huying.common.codes import Level, is_within, level, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.membership.roster import EpochStatus
from huying.common.status import FeedHealth, NodeStatus
from huying.node.admin import AdminNode
from huying.node.census.census_templates import answered_names, shipped, template
from huying.node.clock import SystemClock
from huying.wire.v1 import census_pb2, feed_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.store.reader import Reader
    from huying.node.store.record_queries import RecordRow

__all__ = ["ask", "list_templates"]

_State = census_pb2.AnswerState
_STATES = {
    census_pb2.TALLY_VERDICT_COUNTED: census_pb2.ANSWER_STATE_COUNTED,
    census_pb2.TALLY_VERDICT_UNKNOWN_TEMPLATE: census_pb2.ANSWER_STATE_UNKNOWN_TEMPLATE,
    census_pb2.TALLY_VERDICT_REFUSED: census_pb2.ANSWER_STATE_REFUSED,
    census_pb2.TALLY_VERDICT_NOT_OVER: census_pb2.ANSWER_STATE_NOT_OVER,
    census_pb2.TALLY_VERDICT_OTHER_TEXT: census_pb2.ANSWER_STATE_OTHER_TEXT,
    census_pb2.TALLY_VERDICT_OTHER_VERSION: census_pb2.ANSWER_STATE_OTHER_VERSION,
    census_pb2.TALLY_VERDICT_TOO_OLD: census_pb2.ANSWER_STATE_TOO_OLD,
    census_pb2.TALLY_VERDICT_TOO_MANY: census_pb2.ANSWER_STATE_TOO_MANY,
}


class _Village(NamedTuple):
    code: str
    name: str
    trusted: bool  # whether a key of it counts


class _Villages:
    """Reads the roster, on the engine's thread."""

    def __init__(self, area: str) -> None:
        self._area = area

    def run(self, engine: Engine) -> list[_Village]:
        """Every village of the area that is enrolled, by code."""
        roster = engine.roster
        return [
            _Village(
                pin.code,
                pin.name,
                any(one.status is not EpochStatus.REVOKED for one in roster.epochs_of(pin.code)),
            )
            for pin in sorted(roster.pins(), key=lambda one: one.code)
            if level(pin.code) == Level.VILLAGE and is_within(pin.code, self._area)
        ]


async def list_templates(
    node: AdminNode, _request: census_pb2.ListTemplatesRequest
) -> census_pb2.ListTemplatesResponse:
    """Every template that comes with the program, with its text."""
    answered = answered_names(node.config.ask)
    return census_pb2.ListTemplatesResponse(
        templates=[_view(one, answered_here=one.name in answered) for one in shipped().values()]
    )


async def ask(node: AdminNode, request: census_pb2.AskRequest) -> census_pb2.AskResponse:
    """Write the question, once, and combine what is answered by now.

    Raises HuyingError: TYPE_NOT_ALLOWED where this node can't ask; INVALID_ARGUMENT naming the
    field; NOT_FOUND where no village of the area is enrolled; or as the engine refuses to write.
    """
    own = node.config.node.code
    if not Level.COUNTY <= level(own) < Level.VILLAGE:
        raise HuyingError(
            Code.TYPE_NOT_ALLOWED, "a county or a town asks; answers go no further up"
        )
    asked = template(request.template)
    area = parse_code(request.area, "--area")
    if not is_within(area, own):
        raise HuyingError(Code.INVALID_ARGUMENT, f"--area: must be {own}, or lie below it")
    month = _month(request.month)
    villages: list[_Village] = await node.runtime.operate(_Villages(area))
    if not villages:
        raise HuyingError(Code.NOT_FOUND, f"no village of {area} is enrolled here")
    draft = question_draft(asked, area, month, request.actor, request.purpose)
    (receipt,) = await node.runtime.append([draft])
    response = census_pb2.AskResponse(
        template=asked.name,
        template_version=asked.version,
        template_sha256=asked.sha256,
        area=area,
        month=month,
        question_origin=receipt.origin,
        question_index=receipt.index,
        question_repeated=receipt.repeated,
        rounding_base=asked.rounding_base,
        small_count=asked.small_count,
    )
    rows = await asyncio.to_thread(_answers, node.reader, asked, month, villages)
    _combine(response, asked, villages, rows, node.runtime.status())
    return response


def _month(wanted: str) -> str:
    months = months_over(int(SystemClock().now() * 1e6))
    if not wanted:
        return months[0]
    if wanted not in months:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"--month: a month that is over, from {months[-1]} to {months[0]}",
        )
    return wanted


def _answers(
    reader: Reader, asked: Template, month: str, villages: Sequence[_Village]
) -> dict[str, RecordRow]:
    record = tally_record(asked.name, asked.version, month)
    with reader.snapshot() as snapshot:
        rows = {
            one.code: snapshot.get_record(feed_pb2.RECORD_TYPE_TALLY, one.code, record)
            for one in villages
        }
    return {code: row for code, row in rows.items() if row is not None}


def _combine(
    response: census_pb2.AskResponse,
    asked: Template,
    villages: Sequence[_Village],
    rows: dict[str, RecordRow],
    status: NodeStatus,
) -> None:
    counted: dict[str, census_pb2.Tally] = {}
    for village in villages:
        view = response.villages.add(code=village.code, name=village.name)
        row = rows.get(village.code)
        if row is None:
            _say_why(view, village, status)
            continue
        tally = census_pb2.Tally.FromString(row.message)
        view.origin, view.index = row.origin, row.index
        view.state = _STATES.get(tally.verdict, census_pb2.ANSWER_STATE_IMPLAUSIBLE)
        if view.state != census_pb2.ANSWER_STATE_COUNTED:
            continue
        wrong = tally_fault(asked, response.month, village.code, tally)
        if wrong is not None:
            view.state, view.detail = census_pb2.ANSWER_STATE_IMPLAUSIBLE, wrong
            continue
        view.repeats, view.universe = tally.repeats, tally.universe
        counted[village.code] = tally
    combined = combine(asked, counted)
    response.universe = combined.universe
    for cell, total in zip(asked.cells, combined.cells, strict=True):
        response.cells.add(
            key=cell.key,
            zh=cell.zh,
            en=cell.en,
            low=total.low,
            high=total.high,
            said=total.said,
            not_said=total.not_said,
        )


def _say_why(view: census_pb2.VillageAnswer, village: _Village, status: NodeStatus) -> None:
    """A village without an answer, and when it was heard of last."""
    feeds = [feed for feed in status.feeds if feed.code == village.code]
    heard = [at for feed in feeds for at in (feed.remote_head_observed, feed.last_success) if at]
    heard += [
        peer.last_contact
        for peer in status.peers
        if peer.code == village.code and peer.last_contact
    ]
    view.heard_micros = int(max(heard, default=0.0) * 1e6)
    linked = any(peer.connected for peer in status.peers if peer.code == village.code)
    silent = not feeds or all(feed.health is FeedHealth.UNKNOWN for feed in feeds)
    if not village.trusted:
        view.state = census_pb2.ANSWER_STATE_REVOKED
    elif silent and not linked:
        view.state = census_pb2.ANSWER_STATE_OFFLINE
    else:
        view.state = census_pb2.ANSWER_STATE_AWAITED


def _view(made: Template, *, answered_here: bool) -> census_pb2.TemplateView:
    return census_pb2.TemplateView(
        name=made.name,
        version=made.version,
        sha256=made.sha256,
        title_zh=made.title_zh,
        title_en=made.title_en,
        purpose_zh=made.purpose_zh,
        purpose_en=made.purpose_en,
        reviewers=made.reviewers,
        universe=made.universe,
        counts=made.counts,
        overlapping=made.overlapping,
        cells=[cell.key for cell in made.cells],
        answered_here=answered_here,
        text=made.text,
    )
