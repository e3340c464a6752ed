"""What was verified of one step of a call, and its proof file."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import load_call
from huying.node.web.calls.call_conversation import conversation, parse_entry_key
from huying.node.web.calls.call_proofs import prove
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]


async def proof(ask: Ask) -> Response:
    """Signature, checkpoint, place and number of one entry; with `?file=1` its proof file."""
    loaded = await load_call(ask, ask.path("call"))
    key = ask.path("n")
    place = parse_entry_key(key, loaded.view)
    if place is None:
        raise HuyingError(Code.NOT_FOUND, "this call has no such entry here")
    config = ask.site.config
    found = await ask.node.read(lambda reader: prove(reader, config, *place))
    if ask.query("file") and found.file:
        return Response(
            found.file,
            media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{key}.proof"'},
        )
    turns = conversation(loaded.view, loaded.signed)
    turn = next((t for t in turns if key in {mark.key for mark in t.marks}), None)
    return await ask.render(
        "call_proof.html",
        {
            "call": loaded.view,
            "hex": loaded.hex,
            "key": key,
            "proof": found,
            "code": parse_origin(found.origin).code,
            "turn": turn,
            "is_taking": turn is not None and turn.marks[0].key != key,
        },
    )


PAGES: Final[tuple[Page, ...]] = (
    Page("/calls/{call}/proof/{n}", "call-proof", proof, Permission.CALLS_READ),
)
