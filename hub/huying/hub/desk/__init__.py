"""What the people of a tier with children ask of their node; see `huying.node.desk`."""

from __future__ import annotations

from typing import Final

from huying.node.desk import Topic

__all__ = ["HUB_TOPICS"]

HUB_TOPICS: Final[tuple[Topic, ...]] = (
    Topic("HotlineDesk", "hotline", "huying.hub.desk.hotline"),
)
