#!/usr/bin/env python3
"""The peers' way beside `finrace sweep`: how many races do they see, in a thousand attempts and in a second?

The peers' way is what people write who want to see the race: a loop on loopback that keeps one connection idle for about
as long as the server does, sends, and counts the failures. Here it is tuned by hand as well as that can be done: it
measures the server's timer first, and then aims at the moment of the close.

finrace sweeps the same server, from the same machine, and then a toy of the same timer behind a wire of 5 ms.

    compare.py FINRACE [SECONDS]
"""

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

IDLE = 0.5  # s: the server's timer
REQUEST = b"GET / HTTP/1.1\r\nHost: loop\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEASURED = 10  # closes that the loop is tuned by


def answer(connection):
    """One connection of the server: closes it when it was idle for IDLE."""
    with connection:
        connection.settimeout(IDLE)
        try:
            while connection.recv(4096):
                connection.sendall(RESPONSE)
        except OSError:
            pass


def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def ask(address):
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(REQUEST)
    connection.recv(4096)
    return connection, time.monotonic()


def closes_after(address):
    """The idle time after which the server closes one connection."""
    connection, since = ask(address)
    with connection:
        connection.recv(1)
        return time.monotonic() - since


def loses(address, idle):
    """Whether a request after this idle time is lost: sent on a connection that looked open, and not answered."""
    connection, since = ask(address)
    with connection:
        time.sleep(max(0.0, since + idle - time.monotonic()))
        try:
            if connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
                return False
        except BlockingIOError:
            pass
        try:
            connection.sendall(REQUEST)
            return connection.recv(4096) == b""
        except OSError:
            return True


def timed_loop(address, seconds):
    closes = sorted(closes_after(address) for _ in range(MEASURED))
    aim, spread = statistics.median(closes), closes[-1] - closes[0]
    attempts = races = 0
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        # Around the aim, in eleven steps, as one would try by hand.
        races += loses(address, aim + spread * (attempts % 11 - 5) / 10)
        attempts += 1
    return attempts, races, time.monotonic() - began


def sweep(finrace, *words):
    with tempfile.TemporaryDirectory() as folder:
        command = [finrace, "sweep", *words, "--format", "json", "--out", folder]
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        # 3: an edge was not met, which does not matter here.
        if found.returncode not in (0, 3):
            sys.exit(f"{' '.join(command)} ended with {found.returncode}: run it to see why")
        swept = json.loads(found.stdout)
    return swept["counts"]["connections"], swept["counts"]["lost"], swept["elapsed_ns"] / 1e9


def main():
    finrace = sys.argv[1]
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    address = listener.getsockname()
    url = f"http://127.0.0.1:{address[1]}/"
    many = ["--attempts", "2000", "--connections", "500"]
    rows = [
        ("a timed loop on loopback, one connection at a time", timed_loop(address, seconds)),
        ("finrace sweep of the same server", sweep(finrace, "--backend", url, *many, "--rate", "200")),
        ("finrace sweep of a toy behind 5 ms", sweep(finrace, *many)),
    ]
    print(f"{'':52} {'attempts':>8} {'races':>6} {'per 1000':>9} {'per second':>11}")
    for name, (attempts, races, took) in rows:
        print(f"{name:52} {attempts:8} {races:6} {races * 1000 / attempts:9.1f} {races / took:11.3f}")


if __name__ == "__main__":
    main()
