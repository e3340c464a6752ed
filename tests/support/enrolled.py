"""Nodes on disk for tests: the root as `huying init` makes it, the others enrolled by file.

No socket is opened and no process started; the parent must not run meanwhile.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huying.node import config as node_config
from huying.node.membership.enrol import Initialised, init_node
from huying.node.membership.joining import Wishes, join_beside

NETWORK = "wenshang.example"


def make_node(
    folder: Path,
    code: str,
    *,
    parent: Path | None = None,
    name: str = "",
    network: str = NETWORK,
    **wishes: Any,
) -> Initialised:
    """A whole node in `folder`, below the node whose node.toml is `parent`, or a root."""
    name = name or f"节点 {code}"
    if parent is None:
        return init_node(folder, network=network, code=code, name=name, **wishes)
    above = node_config.load(parent, {})
    return join_beside(above, folder, code, Wishes(name=name, **wishes)).made
