"""Which item of the duty list a dispatch cites, told to the person who dispatches.

The node fills in the item's departments where none are named. Who names another lead than the
item's may have a reason that no list knows: it is done, and said.
"""

from __future__ import annotations

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context

__all__ = ["cited_item"]


def cited_item(ctx: typer.Context, call: str, number: str, department: str) -> str:
    """The number to cite: the one given, or for "" that of the item suggested first for the call.

    `department` is what the person named, or "". Raises HuyingError: NOT_FOUND, INVALID_ARGUMENT
    where nothing is suggested or nobody would lead.
    """
    from huying.hub.cli.duty_text import list_name, reason_text
    from huying.hub.desk import DUTY
    from huying.node.cli.administer import ask_desk
    from huying.node.cli.output import print_note
    from huying.wire.v1 import duty_pb2

    if number:
        own = context.config(ctx).node.code  # who dispatches, does so by its own list
        wanted = duty_pb2.ShowDutyItemRequest(home=own, number=number)
        shown = ask_desk(ctx, DUTY, "ShowDutyItem", wanted)
        listed, item = shown.list, shown.item
    else:
        asked = duty_pb2.SuggestDutyRequest(call=context.parse_hex(call, "CALL"), limit=1)
        found = ask_desk(ctx, DUTY, "SuggestDuty", asked)
        if not found.suggestions:
            hint = "; the policy asks for an off-list approval first" if found.item_required else ""
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"--suggested: no item of a duty list matches; name --department{hint}",
            )
        listed, item = found.list, found.suggestions[0].item
        for reason in found.suggestions[0].reasons:
            print_note(*reason_text(reason).split(" · ", 1))
    print_note(
        f"依据清单 {list_name(listed)}:{item.number} {item.title}", f"cites item {item.number}"
    )
    if not (item.lead or department):
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            "--department: the item names no lead, it is the town's own duty; name one, or decline",
        )
    if department and item.lead and department != item.lead:
        print_note(
            f"注意:清单写明由 {item.lead} 主办,现派给 {department}",
            f"the list names {item.lead} as the lead",
        )
    return str(item.number)
