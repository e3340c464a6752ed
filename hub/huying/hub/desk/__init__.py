"""What the people of a tier with children ask of their node; see `huying.node.desk`."""

from __future__ import annotations

from typing import Final

from huying.node.desk import Topic

__all__ = ["DUTY", "HUB_TOPICS", "MEASURES", "POLICIES"]

DUTY: Final = Topic("Duty", "duty", "huying.hub.desk.duty")
MEASURES: Final = Topic("Measures", "measures", "huying.hub.desk.measures")
POLICIES: Final = Topic("Policies", "policy_desk", "huying.hub.desk.policies")

HUB_TOPICS: Final[tuple[Topic, ...]] = (
    DUTY,
    MEASURES,
    POLICIES,
    Topic("HotlineDesk", "hotline", "huying.hub.desk.hotline"),
)
