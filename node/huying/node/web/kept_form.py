"""A form that was refused as a whole, as its page gives it back: to read, to copy, to send again.

Where a handler refuses a field it shows its form anew. Here is what no handler can show: the disk
beside the console is full, its database can't be written, a page met a defect, or a session ran out
over a form that keeps no draft. What was typed then stands in the page that says so, and one press
sends it again under the same request id, so nothing is done twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from huying.common.errors import HuyingError
from huying.node.web.guard import TooLargeError
from huying.node.web.page import SECRETS

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["KeptForm", "kept_form"]

_WORDS: Final = re.compile(r"[\u3400-\u9fff]|\S\s+\S")  # what a person wrote, and no id or choice


@dataclass(frozen=True, slots=True)
class KeptForm:
    """What was sent."""

    action: str
    fields: tuple[tuple[str, str], ...]  # all that is text, to be sent again
    words: tuple[str, ...]  # of them what somebody wrote
    has_files: bool  # which must be chosen again


async def kept_form(ask: Ask, *, is_known: bool = False) -> KeptForm | None:
    """The form that was sent; None where there is none, or one that holds a secret.

    Of nobody's form nothing is read; `is_known`: it is known whose it is, though their session ran
    out.
    """
    if ask.request.method != "POST" or not (is_known or ask.signed_in is not None):
        return None
    try:
        form = await ask.form()
    except (HuyingError, TooLargeError):
        return None
    fields, has_files = form.pairs()
    if not fields or any(name in SECRETS for name, _ in fields):
        return None
    words = tuple(value for _, value in fields if _WORDS.search(value))
    return KeptForm(ask.request.url.path, fields, words, has_files)
