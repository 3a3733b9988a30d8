"""What a driver makes of the seats that a host tells it of, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import msgspec

from jupyter_faas.fanout.ray.house import RayHouse
from jupyter_faas.fanout.ray.ways import RemoteWay
from jupyter_faas.fanout.ray.words import Event, Failed, HostStart, Seats, Up, Want


class Host:
    """Says what it is told to say, to the one driver that comes."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.came = 0
        self._writer: asyncio.Future[asyncio.StreamWriter] = asyncio.Future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self._writer.set_result(writer)
        while line := await reader.readline():
            self.heard.put_nowait(line)
        writer.close()

    async def say(self, event: Event) -> None:
        writer = await self._writer
        writer.write(msgspec.json.encode(event) + b"\n")

    async def fall(self) -> None:
        """End, and wait for the next driver."""
        writer, self._writer = await self._writer, asyncio.Future()
        writer.close()


class OwnWay(RemoteWay):
    """To a host whose start costs something, as a child's does."""

    is_remote = False
    again_s = 0.0


class Told:
    """What a house has told: the seats it has, and those that it has lost."""

    def __init__(self, port: int, way: type[RemoteWay] = RemoteWay) -> None:
        self.lost: list[set[int]] = []
        self._changed = asyncio.Event()
        self.house = RayHouse(way(f"127.0.0.1:{port}"), HostStart(), self._changed.set)
        self.house.on_lost = self._lose

    def _lose(self, seats: Collection[int]) -> None:
        self.lost.append(set(seats))

    async def seats(self) -> tuple[int, ...]:
        """Return the seats after the next change."""
        async with asyncio.timeout(20.0):
            await self._changed.wait()
        self._changed.clear()
        return self.house.seats

    async def come_and_fall(self, host: Host) -> None:
        """Have one seat, and lose it with its host."""
        self.house.begin()
        await host.say(Up(seats=(0,)))
        assert await self.seats() == (0,)
        await host.fall()
        assert await self.seats() == ()

    async def come_again(self, host: Host) -> None:
        """Ask again and again, as a map does, until the host has been reached once more."""
        async with asyncio.timeout(20.0):
            while host.came < 2:
                self.house.begin()
                await asyncio.sleep(0)


async def test_a_seat_that_leaves_takes_nothing_more_and_is_lost_only_when_it_is_gone() -> None:
    host = Host()
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
        told = Told(server.sockets[0].getsockname()[1])
        told.house.begin()
        await host.say(Up(seats=(4, 2)))
        assert await told.seats() == (4, 2), "in the order of the host: the first ones stay longest"
        await host.say(Seats(seats=(4,), leaving=(2,)))
        assert await told.seats() == (4,)
        assert told.lost == []
        await host.say(Seats(seats=(4,)))
        assert await told.seats() == (4,)
        assert told.lost == [{2}]
        await told.house.close()


async def test_a_host_hears_how_many_seats_are_wanted_and_which_are_busy() -> None:
    host = Host()
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
        told = Told(server.sockets[0].getsockname()[1])
        told.house.wanted = lambda: 3
        told.house.busy = lambda: (1,)
        told.house.begin()
        await host.say(Up(seats=(0, 1)))
        async with asyncio.timeout(20.0):
            await host.heard.get()
            want = msgspec.json.decode(await host.heard.get(), type=Want)
        assert (want.seats, want.busy) == (3, (1,))
        await told.house.close()


async def test_ray_of_ones_own_that_has_ended_is_begun_again() -> None:
    host = Host()
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
        told = Told(server.sockets[0].getsockname()[1], OwnWay)
        await told.come_and_fall(host)
        assert told.lost == [{0}]
        assert told.house.trouble
        await told.come_again(host)
        await host.say(Up(seats=(1,)))
        assert await told.seats() == (1,)
        assert not told.house.trouble
        await told.house.close()


async def test_why_ray_does_not_start_again_is_told_and_not_that_it_will() -> None:
    host = Host()
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
        told = Told(server.sockets[0].getsockname()[1], OwnWay)
        await told.come_and_fall(host)
        await told.come_again(host)
        await host.say(Failed(why="There is no room."))
        assert await told.seats() == ()
        await host.fall()
        await told.seats()
        assert told.house.trouble == "There is no room."
        await told.house.close()


async def test_ray_of_ones_own_that_does_not_start_is_not_begun_again() -> None:
    host = Host()
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
        told = Told(server.sockets[0].getsockname()[1], OwnWay)
        told.house.begin()
        await host.say(Failed(why="There is no room."))
        assert await told.seats() == ()
        await host.fall()
        await told.seats()
        for _ in range(100):
            told.house.begin()
            await asyncio.sleep(0)
        assert host.came == 1
        assert told.house.trouble == "There is no room."
        await told.house.close()
