"""An operator's request to a node that is not running, carried out in the operator's own process.

It opens the store with its lock, so a node that runs after all is noticed; starts the engine, with
no link and no timer waited for; and closes everything when the answer is there.
"""

from __future__ import annotations

import asyncio
from typing import Any

from huying.node import logs
from huying.node.admin import AdminNode, Handler
from huying.node.clock import SystemClock
from huying.node.config import Config

__all__ = ["carry_out"]


def carry_out(config: Config, handle: Handler, request: Any) -> Any:
    """The response of a handler to one request.

    Raises HuyingError: NODE_RUNNING where the node runs, what its start raises, what the handler
    refuses with.
    """
    with logs.hushed():
        return asyncio.run(_carry_out(config, handle, request))


async def _carry_out(config: Config, handle: Handler, request: Any) -> Any:
    from huying.node.app import open_engine
    from huying.node.membership.late_enrolment import LateEnrolment
    from huying.node.runtime import Runtime
    from huying.node.store.database import sqlite_url
    from huying.node.store.reader import FileReader

    store, engine = open_engine(config)
    try:
        runtime = Runtime(engine, SystemClock())
        await runtime.start()
        engine.confirmed = True  # nobody can be asked, and the operator waits
        reader = FileReader(sqlite_url(config.database_file))
        try:
            enrolment = LateEnrolment(config, runtime, SystemClock())
            node = AdminNode(config, runtime, reader, enrolment)
            return await handle(node, request)
        finally:
            reader.close()
            await runtime.stop()
    finally:
        store.close()
