"""A client of Python that the lab puts in the proxy's place: what it is asked it asks the backend, over connections that
it keeps. Its exceptions are what is to be explained."""

import asyncio
import http.client
import http.server
import sys
import traceback

WAY, ADDRESS, PORT, BACKEND = sys.argv[1:]


def of_http_client():
    connection = http.client.HTTPConnection(BACKEND)

    def send(method, path, body):
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        return response.status

    return send


def of_requests():
    import requests

    session = requests.Session()
    return lambda method, path, body: session.request(method, f"http://{BACKEND}{path}", data=body).status_code


def of_httpx():
    import httpx

    client = httpx.Client(limits=httpx.Limits(keepalive_expiry=60))
    return lambda method, path, body: client.request(method, f"http://{BACKEND}{path}", content=body).status_code


def of_aiohttp():
    import aiohttp

    loop = asyncio.new_event_loop()

    async def opened():
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=60))

    session = loop.run_until_complete(opened())

    async def send(method, path, body):
        async with session.request(method, f"http://{BACKEND}{path}", data=body) as response:
            await response.read()
            return response.status

    return lambda method, path, body: loop.run_until_complete(send(method, path, body))


SEND = {"http.client": of_http_client, "requests": of_requests, "httpx": of_httpx, "aiohttp": of_aiohttp}[WAY]()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status = SEND(self.command, self.path, body)
        except Exception:
            traceback.print_exc()
            status = 502
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


http.server.HTTPServer((ADDRESS, int(PORT)), Handler).serve_forever()
