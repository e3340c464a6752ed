"""What is wrong with feeds and keys, with the evidence: forks, gaps, losses, breaches, new keys.

Evidence is what anybody can check who has the origin's key: it is handed out byte for byte as it
was signed, so that the county need not take this node's word.
"""

from __future__ import annotations

import base64
import json
from typing import Final

from starlette.responses import Response

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.monitoring.trouble import fork_evidence, stored_trouble
from huying.node.quarantine_view import advice_of, fault_name
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.operations.operations_source import (
    look,
    names_of,
    origin_at,
    place_of,
    sees_feed,
)
from huying.node.web.page import Ask, Page
from huying.wire.v1 import admin_pb2

__all__ = ["PAGES"]

_GAPS_SHOWN: Final = 200


async def show_trouble(ask: Ask) -> Response:
    """Everything that is wrong; while the node is away, what its database says of it."""
    is_live = True
    try:
        found = await ask.node.administer("ShowTrouble", admin_pb2.ShowTroubleRequest())
    except HuyingError as error:
        if error.code not in (Code.UNREACHABLE, Code.DRAINING):
            raise
        is_live = False
        found = await ask.node.read(_stored)
    seen = await look(ask)
    gaps = [row for row in found.missing if sees_feed(ask, row.origin)]
    gaps.sort(key=lambda row: (not row.withheld, row.origin, row.start))
    refusals = [
        (labels["peer"], labels["reason"], int(count))
        for labels, count in seen.figures.all("verify_failures_total")
    ]
    return await ask.render(
        "trouble.html",
        look=seen,
        names=await names_of(ask, seen),
        is_live=is_live,
        forks=[one for one in found.forks if sees_feed(ask, one.origin)],
        feeds=[one for one in found.feeds if sees_feed(ask, one.origin)],
        gaps=gaps[:_GAPS_SHOWN],
        gaps_left_out=len(gaps[_GAPS_SHOWN:]) + found.missing_left_out,
        lost=[one for one in found.lost if sees_feed(ask, one.origin)],
        waiting=list(found.waiting_keys),
        claims=list(found.claims),
        alarms=[one for one in found.alarms if not one.origin or sees_feed(ask, one.origin)],
        refusals=refusals,
        breaches=seen.figures.get("breaches_total"),
        joins=seen.figures.get("join_refusals_total"),
        code_of=lambda origin: parse_origin(origin).code,
        place_of=place_of,
        fault_name=fault_name,
        advice_of=advice_of,
    )


def _stored(reader: Reader) -> admin_pb2.ShowTroubleResponse:
    feeds = reader.feeds()
    return stored_trouble(feeds, {feed.origin: reader.missing(feed.feed_id) for feed in feeds})


async def give_evidence(ask: Ask) -> Response:
    """The two notes of a forked feed, as a file; as JSON with the hashes that prove it."""
    origin = await origin_at(ask)
    feed = await ask.node.read(lambda reader: reader.feed(origin))
    if feed is None or not feed.frozen:
        raise HuyingError(Code.NOT_FOUND, "this feed is not forked: there is no evidence")
    fork = fork_evidence(origin, feed.frozen)
    await ask.audit("fork-evidence", origin)
    place = place_of(origin)
    name = f"fork-{place['code']}-{place['epoch']}"
    if ask.query("format") == "json":
        document = {
            "origin": origin,
            "sizes": [fork.first_size, fork.second_size],
            "notes": [note.decode("utf-8", "replace") for note in (fork.first, fork.second)],
            "prefix": fork.prefix.hex(),
            "suffix": fork.suffix.hex(),
            "kept": base64.b64encode(feed.frozen).decode("ascii"),
        }
        text = json.dumps(document, ensure_ascii=False, indent=1).encode()
        return _file(text, f"{name}.json", "application/json")
    return _file(fork.first + b"\n" + fork.second, f"{name}.txt", "text/plain; charset=utf-8")


def _file(data: bytes, name: str, media_type: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=media_type, headers=disposition)


PAGES: Final = (
    Page("/operations/trouble", "trouble", show_trouble, Permission.OPERATIONS_READ),
    Page(
        "/operations/trouble/evidence/{code}/{epoch}",
        "fork-evidence",
        give_evidence,
        Permission.OPERATIONS_READ,
    ),
)
