"""A stand-in for a gateway, in a pod: speaks HTTP/1.1 and says which pod it is.

`/whoami` the pod's name · `/size=N` N bytes · `/slow` never answers · `/left` how many left
`/slow` early · `/shown` the Authorization it was shown · `POST` the sha256 of the body ·
`/unready` readiness fails from then on.
"""

import asyncio
import hashlib
import json
import os

READY, LEFT = [True], [0]
PIECE = b"x" * (1 << 20)


async def answer(writer, body, status=200):
    writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
    writer.write(body)
    await writer.drain()


async def large(writer, size):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    while size > 0:
        writer.write(PIECE[:size])
        size -= len(PIECE)
        await writer.drain()


async def slow(reader):
    await reader.read(1)
    LEFT[0] += 1


async def one(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    method, path, _ = request.split(" ")
    digest, left = hashlib.sha256(), int(headers.get("content-length", 0))
    while left:
        piece = await reader.read(min(left, 1 << 20))
        digest.update(piece)
        left -= len(piece)
    path = path.partition("?")[0]
    if method == "POST":
        await answer(writer, digest.hexdigest().encode())
    elif path.startswith("/size="):
        await large(writer, int(path.removeprefix("/size=")))
    elif path == "/slow":
        await slow(reader)
    elif path == "/readyz":
        await answer(writer, b"", 200 if READY[0] else 503)
    elif path == "/unready":
        READY[0] = False
        await answer(writer, b"")
    elif path == "/v1/state":
        state = {"provider": "kubernetes", "version": "9", "functions": []}
        await answer(writer, json.dumps(state).encode())
    elif path == "/left":
        await answer(writer, str(LEFT[0]).encode())
    elif path == "/shown":
        await answer(writer, headers.get("authorization", "").encode())
    else:
        await answer(writer, os.environ["HOSTNAME"].encode())


async def serve(reader, writer):
    try:
        while True:
            await one(reader, writer)
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 8080)
    await server.serve_forever()


asyncio.run(main())
