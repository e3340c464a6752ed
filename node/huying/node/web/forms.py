r"""What a browser sent: fields and files, bounded before they are kept.

A field's value is text of one line or several; control characters are refused, and newlines are
`\n` afterwards. Nothing here knows what a field means.
"""

from __future__ import annotations

import errno
import re
from typing import Any, Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES, TEXT_CHARACTERS_MAX

__all__ = ["FIELDS_MAX", "FILES_MAX", "Form", "read_form"]

FIELDS_MAX: Final = 400
FILES_MAX: Final = 8
SECRET_CHARACTERS_MAX: Final = 2000
PART_BYTES_MAX: Final = 64 * 1024  # of one field that is no file
# Our pages are UTF-8. Another charset is a way to text that no page could show, such as half of a
# surrogate pair, or to a decoder that takes its time.
_OTHER_CHARSET: Final = re.compile(r"charset(?!\s*=\s*\"?utf-?8\"?\s*(?:;|$))", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Form:
    """The fields of one form."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, field: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
        """The trimmed text of a field, empty where it is absent.

        Raises HuyingError(INVALID_ARGUMENT), naming the field and the limit.
        """
        value = self._data.get(field, "")
        if not isinstance(value, str):
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: text, not a file")
        value = value.replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(value) > characters_max:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"{field}: at most {characters_max} characters"
            )
        if _CONTROL.search(value):
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: control characters; type it again")
        return value

    def secret(self, field: str) -> str:
        """A password or a code exactly as it was typed; what is too long is cut, and so wrong."""
        value = self._data.get(field, "")
        return value[:SECRET_CHARACTERS_MAX] if isinstance(value, str) else ""

    def required(self, field: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
        """As `text`, and not empty."""
        value = self.text(field, characters_max)
        if not value:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: empty; fill it in")
        return value

    def flag(self, field: str) -> bool:
        """Whether a box is ticked."""
        return self.text(field, 16) not in ("", "0", "false")

    def many(self, field: str) -> list[str]:
        """Every value of a field that may come several times."""
        values = [value for value in self._data.getlist(field) if isinstance(value, str)]
        return [value.strip() for value in values if value.strip()]

    def number(self, field: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`. Raises HuyingError(INVALID_ARGUMENT)."""
        value = self.text(field, 20)
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: a number from {low} to {high}")
        return int(value)

    def id(self, field: str = "request_id") -> bytes:
        """An id of 16 bytes, typed as hex digits. Raises HuyingError(INVALID_ARGUMENT)."""
        value = self.text(field, 64)
        if not re.fullmatch(r"[0-9a-f]{32}", value):
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"{field}: {2 * RECORD_ID_BYTES} hex digits; load the page"
            )
        return bytes.fromhex(value)

    def files(self, field: str) -> list[UploadFile]:
        """The files of a field that are named and not empty."""
        found = [value for value in self._data.getlist(field) if isinstance(value, UploadFile)]
        return [file for file in found if file.filename and file.size]

    def values(self) -> dict[str, str]:
        """Every text field as it came, to show it again."""
        return {key: value for key, value in self._data.items() if isinstance(value, str)}

    def pairs(self) -> tuple[tuple[tuple[str, str], ...], bool]:
        """Every text field as often as it came; and whether there were files."""
        items = self._data.multi_items()
        texts = tuple((key, value) for key, value in items if isinstance(value, str))
        return texts, any(isinstance(value, UploadFile) and value.filename for _, value in items)

    async def close(self) -> None:
        """Remove temporary files."""
        await self._data.close()


async def read_form(request: Request) -> Form:
    """The form of a request.

    Raises HuyingError: INVALID_ARGUMENT where it can't be read, DISK_FULL where a file of it can't
    be put down.
    """
    if _OTHER_CHARSET.search(request.headers.get("content-type", "")):
        raise HuyingError(Code.INVALID_ARGUMENT, "the form: UTF-8, and no other charset")
    try:
        data: Any = await request.form(
            max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=PART_BYTES_MAX
        )
    except HTTPException as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"the form: {error.detail}") from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HuyingError(Code.DISK_FULL, "no room for the files of this form") from error
    return Form(data)
