"""Pictures that people bring: recognised by their content, made anew, and cut for the feed.

Nothing a person sends is kept or shown as it came. A picture is decoded in a process of its own and
encoded again, without what the camera wrote into it (`prepare`); a document is kept as it is and
only ever downloaded. docs/UPLOADS.md has the rules.
"""

from __future__ import annotations

from huying.node.media.errors import MediaError
from huying.node.media.examining import Examined, Kind, examine
from huying.node.media.preparing import Prepared, evidence_drafts, prepare

__all__ = ["Examined", "Kind", "MediaError", "Prepared", "evidence_drafts", "examine", "prepare"]
