"""One look at the running node: for the scrape, and for the pages that show the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.node.backups.backup_note import last_backup
from huying.node.monitoring.disk_use import disk_use
from huying.node.monitoring.figures import Observed
from huying.node.offline_window import OfflineWindow

if TYPE_CHECKING:
    from huying.node.services import Node

__all__ = ["observe"]


def observe(node: Node) -> Observed:
    """Look at the node, on any thread; it asks the disk for a few sizes and waits for nobody."""
    planned = node.config.timing.offline_window
    window = None if planned is None else OfflineWindow.parse(planned)
    return Observed(
        node.runtime.status(),
        node.retry_next(),
        node.facts.certificates,
        disk=disk_use(node.config),
        last_backup=last_backup(node.config),
        offline_window=None if window is None else window.around(node.clock.now()),
        refused_attempts=node.enrolment.refused_attempts,
        provisions_waiting=node.counts.get("provisions_waiting"),
        at=node.clock.now(),
    )
