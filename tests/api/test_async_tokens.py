"""Tokens with asyncio that end while nobody calls, and whose replacement takes its time."""

from __future__ import annotations

import asyncio
import selectors
import time
from types import SimpleNamespace
from typing import Any

import pytest

from uamqp import Message, SendClientAsync
from uamqp.authentication import JWTTokenAsync
from uamqp.testing import Broker


class CountingSelector(selectors.DefaultSelector):
    """Counts the turns of the loop."""

    turns = 0

    def select(self, timeout: float | None = None) -> Any:
        self.turns += 1
        return super().select(timeout)


def test_the_loop_rests_while_a_token_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    monkeypatch.setattr("uamqp.classic.cbs.tokens.wall", lambda: time.time() + ahead)
    asked, given = asyncio.Event(), asyncio.Event()
    tokens = 0

    async def get_token() -> Any:
        nonlocal tokens
        tokens += 1
        if tokens > 1:
            asked.set()
            await given.wait()
        return SimpleNamespace(token=f"token {tokens}", expires_on=time.time() + ahead + 60)

    async def run() -> None:
        nonlocal ahead
        url = f"amqp://127.0.0.1:{broker.port}/q"
        auth = JWTTokenAsync(url, url, get_token, port=broker.port, use_tls=False)
        async with SendClientAsync(url, auth=auth) as client:
            await client.send_message_async(Message(b"1"))
            ahead = 61
            sends = [asyncio.ensure_future(client.send_message_async(Message(b"x"))) for _ in range(3)]
            await asyncio.wait_for(asked.wait(), 10)
            before = selector.turns
            await asyncio.sleep(0.1)
            assert selector.turns - before < 20  # it took thousands
            given.set()
            await asyncio.gather(*sends)
        assert tokens == 2

    selector = CountingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    try:
        with Broker(cbs=True) as broker:
            loop.run_until_complete(asyncio.wait_for(run(), 60))
            assert broker.queue("q").depth == 4
            assert [put.token for put in broker.tokens.put] == ["token 1", "token 2"]
    finally:
        loop.close()
