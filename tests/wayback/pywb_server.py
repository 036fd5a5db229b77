"""Run pywb in a world whose names somebody else knows; a script for the Python pywb lives in.

    python pywb_server.py PORT_OF_THE_NAME_SERVICE [arguments of pywb's `wayback`]

The name service takes one line, `host port`, and answers with one line of JSON: `[address, port]`
or `[error number, message]` when the name does not exist.
"""

from gevent.monkey import patch_all

patch_all()

import json  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

SYSTEM = socket.getaddrinfo


def main() -> None:
    service = int(sys.argv[1])

    def getaddrinfo(host, port, *arguments, **named):  # type: ignore[no-untyped-def]
        name = host.decode() if isinstance(host, bytes) else host
        if name in (None, "", "localhost") or name[:1].isdigit() or ":" in name:
            return SYSTEM(host, port, *arguments, **named)
        with socket.socket() as asking:
            asking.connect(("127.0.0.1", service))
            asking.sendall(f"{name} {port}\n".encode())
            place, detail = json.loads(asking.makefile().readline())
        if isinstance(place, int):
            raise socket.gaierror(place, detail)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, detail))]

    socket.getaddrinfo = getaddrinfo
    from pywb.apps.cli import wayback

    wayback(sys.argv[2:])


main()
