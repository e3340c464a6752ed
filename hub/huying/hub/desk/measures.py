"""The measures of a month, from the tables of the node that answers the calls."""

from __future__ import annotations

import asyncio
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import MEASURE_MONTHS_MAX, MEASURE_ROWS_MAX
from huying.common.measures import (
    DepartmentMeasures,
    Ratio,
    TownMeasures,
    score,
)
from huying.common.months import month_span, months_up_to
from huying.node.admin import AdminNode
from huying.node.store.measure_queries import Dimension, Measured
from huying.node.store.reader import Reader
from huying.wire.v1 import measures_pb2, policy_pb2

__all__ = ["measure", "measured"]

_DIMENSIONS: Final[dict[int, Dimension]] = {
    measures_pb2.MEASURE_BY_DEPARTMENT: "department",
    measures_pb2.MEASURE_BY_TOWN: "town",
    measures_pb2.MEASURE_BY_CATEGORY: "category",
    measures_pb2.MEASURE_BY_MONTH: "all",
}


async def measure(
    node: AdminNode, request: measures_pb2.MeasureRequest
) -> measures_pb2.MeasureResponse:
    """Count one month. Raises as `measured`."""
    return await asyncio.to_thread(measured, node.reader, node.config.node.code, request)


def measured(
    reader: Reader, sequencer: str, request: measures_pb2.MeasureRequest
) -> measures_pb2.MeasureResponse:
    """The same over a reader, all of it of one state of the database.

    Raises HuyingError: INVALID_ARGUMENT for a month or a dimension that is none; LIMIT_EXCEEDED for
    more than MEASURE_ROWS_MAX rows.
    """
    by = _DIMENSIONS.get(request.by)
    if by is None:
        raise HuyingError(Code.INVALID_ARGUMENT, "by: department, town, category or month")
    months = [request.month]
    if by == "all":
        months = months_up_to(request.month, MEASURE_MONTHS_MAX)
    with reader.snapshot() as seen:
        policy = seen.policy(sequencer)
        offset = seen.calendar(sequencer).utc_offset_minutes
        response = measures_pb2.MeasureResponse(
            month=request.month,
            by=request.by,
            sequencer=sequencer,
            policy_version=policy.version,
            satisfied_stars_min=policy.satisfied_stars_min,
            rating_weight_percent=policy.rating_weight_percent,
            utc_offset_minutes=offset,
        )
        names = {pin.code: pin.name for pin in seen.members()} if by == "town" else {}
        for month in months:
            start, stop = month_span(month, offset)
            found = seen.measures(sequencer, by, start, stop, policy.satisfied_stars_min)
            if len(found) > MEASURE_ROWS_MAX:
                what = f"by {by}: {len(found)} rows, at most {MEASURE_ROWS_MAX}"
                raise HuyingError(Code.LIMIT_EXCEEDED, f"{what}; count by something coarser")
            for one in found:
                row = _row(one, by, policy)
                row.key = month if by == "all" else one.key
                row.name = names.get(one.key, "")
                response.rows.append(row)
    return response


def _row(one: Measured, by: Dimension, policy: policy_pb2.Policy) -> measures_pb2.MeasureRow:
    row = measures_pb2.MeasureRow(service=_service(one.departments))
    if by == "department":
        found = score(one.departments, policy.rating_weight_percent)
        if found is not None:
            row.service.score = found
    else:
        row.callers.CopyFrom(_callers(one.towns))
    return row


def _proportion(ratio: Ratio) -> measures_pb2.Proportion:
    return measures_pb2.Proportion(numerator=ratio.numerator, denominator=ratio.denominator)


def _service(found: DepartmentMeasures) -> measures_pb2.ServiceMeasures:
    return measures_pb2.ServiceMeasures(
        duties=found.duties,
        undecided=found.undecided,
        response=_proportion(found.response),
        on_time=_proportion(found.on_time),
        resolved=_proportion(found.resolved),
        satisfied=_proportion(found.satisfied),
        returned=_proportion(found.returned),
        returned_upheld=found.returned_upheld,
        reworked=_proportion(found.reworked),
        reopened=_proportion(found.reopened),
        yellow_cards=found.yellow_cards,
        red_cards=found.red_cards,
    )


def _callers(found: TownMeasures) -> measures_pb2.CallerMeasures:
    return measures_pb2.CallerMeasures(
        calls=found.calls,
        residents=found.residents,
        calls_per_10000=found.calls_per_10000,
        declined=_proportion(found.declined),
        withdrawn=_proportion(found.withdrawn),
        merged=found.merged,
        supplement_late=_proportion(found.supplement_late),
        confirm_in_window=_proportion(found.confirm_in_window),
    )
