"""A server as editors start one on a host: each connection is upgraded as a WebSocket's is, and answers every frame with its bytes
turned round. `editor_server.py SOCKET` listens on a port of loopback, which it prints, and on that socket."""

import asyncio
import struct
import sys


async def serve(reader, writer):
    request = await reader.readuntil(b"\r\n\r\n")
    assert b"Upgrade: websocket" in request, request
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    try:
        while True:
            head = await reader.readexactly(4)
            frame = await reader.readexactly(struct.unpack(">I", head)[0])
            writer.write(head + frame[::-1])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        # An editor that is closed does not say goodbye.
        writer.close()


async def main():
    on_port = await asyncio.start_server(serve, "127.0.0.1", 0)
    on_socket = await asyncio.start_unix_server(serve, sys.argv[1])
    print("listening", on_port.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(on_port.serve_forever(), on_socket.serve_forever())


asyncio.run(main())
