"""From a step at another node to the browser that has the queue open, at the size of a county.

The clock starts before the town's node is asked to raise a call; it runs over the town's commit,
the link, the county's check, fold and commit, until the county's console tells an open page that
calls stirred, and on until the queue that the page's script then asks for has come whole.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.hub.bench.call_store import COUNTY
from huying.hub.bench.page_walk import Browser, text_of
from huying.hub.fleet import Member
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["measure_live"]

_CALLS: Final = 20
_LINK_SECONDS: Final = 30.0
Say = Callable[[str], None]


def measure_live(browser: Browser, town: Member, say: Say, *, now: float) -> dict[str, Any]:
    """`browser` is the centre's. Seconds: until it is told, and until its queue is new."""
    say("实时 · calls of another node, on an open queue")
    told, shown = [], []
    with town.client() as client:
        _await_link(client)
        stream = _open_stream(browser)
        topics = _topics(stream)
        next(topics)  # what was missed before the stream: everything
        for number in range(_CALLS):
            started = time.perf_counter()
            call = client.raise_call(_call(town.code, number, now)).call.hex()
            is_there, heard, came = False, 0.0, 0.0
            while not is_there:
                while "calls" not in next(topics):
                    pass
                heard = time.perf_counter() - started
                answer = browser.get("/queue", **{"X-Live": "1"})
                came = time.perf_counter() - started
                assert answer.status == 200, f"the queue answers {answer.status}"
                # What stirred may have been the call before this one.
                is_there = call in text_of(browser.get(f"/calls?q={call}"))
            told.append(heard)
            shown.append(came)
        stream.close()
    return {
        f"live_{name}_{quantile}_seconds": round(sorted(took)[at], 4)
        for name, took in (("told", told), ("queue", shown))
        for quantile, at in (("p50", _CALLS // 2), ("max", _CALLS - 1))
    }


def _await_link(client: Any) -> None:
    deadline = time.monotonic() + _LINK_SECONDS
    while not any(peer.connected for peer in client.status().peers):
        if time.monotonic() > deadline:
            raise HuyingError(Code.UNREACHABLE, "the town does not reach the county")
        time.sleep(0.1)


def _call(town: str, number: int, now: float) -> api_pb2.RaiseCallRequest:
    call = calls_pb2.Call(
        sequencer=COUNTY,
        category="供水",
        title=f"实时第{number + 1}件",
        description="管道破裂,多户停水,请派专业队伍抢修。",
        village=f"{town[:9]}201",
        raised_micros=int(now * 1e6),
    )
    return api_pb2.RaiseCallRequest(call=call, request_id=secrets.token_bytes(16))


def _open_stream(browser: Browser) -> HTTPResponse:
    connection = HTTPConnection(browser.address, timeout=_LINK_SECONDS)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    connection.request("GET", "/live?topic=calls", headers={"Cookie": cookie})
    stream = connection.getresponse()
    assert stream.status == 200, f"no stream: {stream.status}"
    return stream


def _topics(stream: HTTPResponse) -> Iterator[list[str]]:
    """What stirred, message by message. Raises HuyingError(UNREACHABLE) where nothing does."""
    heard = time.monotonic()
    for line in stream:  # Pings, too: a stream that lives tells nothing by that.
        if line.startswith(b"data:"):
            yield json.loads(line[5:])["topics"]
            heard = time.monotonic()
        elif time.monotonic() - heard > _LINK_SECONDS:
            raise HuyingError(Code.UNREACHABLE, "the county heard of no call")
