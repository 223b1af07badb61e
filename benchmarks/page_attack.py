"""A crowd before the page's door: a thousand requests at once, by programs that were not given the address.

Run as a process of its own: `python -m benchmarks.page_attack PORT COUNT`. Says how each was answered, as JSON.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter

PATHS = ("/", "/?token=guess", "/api/report", "/api/gallery", "/ws/own", "/api/settings", "/api/jobs", "/page.js")
HANG_UP_S = 20.0


async def knock(port: int, number: int) -> str:
    """One request: no token, a wrong one, another Host, another Origin. Gives the status, or how it ended else."""
    host = f"127.0.0.1:{port}" if number % 3 else "evil.example"
    origin = "Origin: http://evil.example\r\n" if number % 5 == 0 else ""
    path = PATHS[number % len(PATHS)]
    writer = None
    try:
        async with asyncio.timeout(HANG_UP_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n".encode())
            line = await reader.readline()
            return line.split()[1].decode() if line else "hung up"
    except (OSError, IndexError, TimeoutError) as error:
        return "hung up" if isinstance(error, OSError) else type(error).__name__
    finally:
        if writer is not None:
            writer.close()


async def attack(port: int, count: int) -> dict[str, int]:
    """All at once."""
    return dict(Counter(await asyncio.gather(*(knock(port, number) for number in range(count)))))


if __name__ == "__main__":
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)  # what the crowd itself computes is not what is measured
    print(json.dumps(asyncio.run(attack(int(sys.argv[1]), int(sys.argv[2])))))
