"""The sockets that our servers listen on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from api_stub.serve import ports
from simulator import server


@pytest.mark.parametrize("listen", [ports.listen, server.listen], ids=["api", "simulator"])
def test_an_answer_in_two_writes_does_not_wait_for_the_first_to_be_acknowledged(
    listen: Callable[[str, int], socket.socket],
) -> None:
    """Head and body are two writes: by Nagle's rule the body of each answer but the first would come 40 ms late."""

    async def meet() -> int:
        met: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            met.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(serve, sock=listen("127.0.0.1", 0)) as serving:
            _, writer = await asyncio.open_connection(*serving.sockets[0].getsockname())
            try:
                return await asyncio.wait_for(met, 10)
            finally:
                writer.close()

    assert asyncio.run(meet()) != 0
