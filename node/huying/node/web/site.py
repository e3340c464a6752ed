"""Which pages every node serves; a tier with children adds its own."""

from __future__ import annotations

from typing import Final

from huying.node.web import home_pages, media_pages
from huying.node.web.access import (
    account_pages,
    audit_pages,
    factor_pages,
    oidc_pages,
    people_pages,
    proof,
    sign_in_pages,
)
from huying.node.web.calling import (
    call_new_pages,
    draft_matter,
    draft_pages,
    order_export_pages,
    order_history_pages,
    order_pages,
)
from huying.node.web.calls import (
    call_list_pages,
    call_pages,
    call_proof_pages,
    call_resend,
    own_phrases,
)
from huying.node.web.events import (
    event_export_pages,
    event_history_pages,
    event_pages,
    handling_pages,
    reopen_pages,
    report_pages,
    task_pages,
)
from huying.node.web.ledger import (
    export_pages,
    household_pages,
    household_view,
    ledger_pages,
    move_pages,
    resident_pages,
    sheet_files,
    sheet_pages,
    visit_pages,
)
from huying.node.web.operations import (
    help_pages,
    machine_pages,
    operations_pages,
    quarantine_pages,
    trouble_pages,
)
from huying.node.web.page import Page
from huying.node.web.provisions import provision_ask_pages, provision_pages

__all__ = ["NODE_PAGES"]

NODE_PAGES: Final[tuple[Page, ...]] = (
    *home_pages.PAGES,
    *sign_in_pages.PAGES,
    *account_pages.PAGES,
    *proof.PAGES,
    *factor_pages.PAGES,
    *people_pages.PAGES,
    *audit_pages.PAGES,
    *call_new_pages.PAGES,
    *call_list_pages.PAGES,
    *call_pages.PAGES,
    *call_proof_pages.PAGES,
    *call_resend.PAGES,
    *own_phrases.PAGES,
    *draft_pages.PAGES,
    *draft_matter.PAGES,
    *event_export_pages.PAGES,  # before the pages that take an id where this has a word
    *event_pages.PAGES,
    *event_history_pages.PAGES,
    *handling_pages.PAGES,
    *reopen_pages.PAGES,
    *order_export_pages.PAGES,
    *order_history_pages.PAGES,
    *order_pages.PAGES,
    *ledger_pages.PAGES,
    *household_view.PAGES,
    *household_pages.PAGES,
    *resident_pages.PAGES,
    *move_pages.PAGES,
    *visit_pages.PAGES,
    *export_pages.PAGES,
    *sheet_files.PAGES,
    *sheet_pages.PAGES,
    # Before the pages that take an id where this has a word.
    *provision_ask_pages.PAGES,
    *provision_pages.PAGES,
    *report_pages.PAGES,
    *task_pages.PAGES,
    *media_pages.PAGES,
    *oidc_pages.PAGES,
    *operations_pages.PAGES,
    *quarantine_pages.PAGES,
    *trouble_pages.PAGES,
    *machine_pages.PAGES,
    *help_pages.PAGES,
)
