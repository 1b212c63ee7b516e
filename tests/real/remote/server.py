"""A remote server of fastmcp, which speaks both eras, and ends at the end of its stdin.

    python server.py [--host ADDRESS] [--port N] [--path PATH] [--tls CERTIFICATE KEY]
                     [--oauth SECONDS | --accept TOKEN...]

It says its address and each request on stderr: `server: ready URL`, then a line of JSON with the
method, the path, the status, whether it belongs to a session, and its credentials, hashed. With --oauth it asks for a token,
issues those itself without a question, and each ends after that many seconds. With --accept it wants
one of these as a bearer token.
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import sys
import threading
import time

import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_headers
from starlette.responses import PlainTextResponse

CREDENTIALS = ["authorization", "x-api-key"]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def say(line):
    print(f"server: {line}", file=sys.stderr, flush=True)


def provider(address, seconds):
    from fastmcp.server.auth.providers import in_memory
    from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions

    class Provider(in_memory.InMemoryOAuthProvider):
        async def load_access_token(self, token):
            # The original also ends the refresh token, at the first use of an expired token.
            found = self.access_tokens.get(token)
            is_over = found and found.expires_at and found.expires_at < time.time()
            return None if is_over else await super().load_access_token(token)

    in_memory.DEFAULT_ACCESS_TOKEN_EXPIRY_SECONDS = seconds
    return Provider(
        base_url=address,
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["read"]),
        revocation_options=RevocationOptions(enabled=True),
        required_scopes=["read"],
    )


def tools(mcp):
    @mcp.tool
    def echo(text: str) -> str:
        """Says the same."""
        return text

    @mcp.tool
    def credentials() -> dict:
        """What came as credentials, in clear and hashed."""
        headers = get_http_headers(include_all=True)
        found = {name: headers[name] for name in CREDENTIALS if name in headers}
        return {"clear": found, "hashed": {name: digest(value) for name, value in found.items()}}

    @mcp.tool
    async def wait(seconds: float, context: Context) -> str:
        """Reports progress ten times a second, then answers."""
        steps = max(1, round(seconds * 10))
        for step in range(steps):
            await context.report_progress(step, steps)
            await asyncio.sleep(seconds / steps)
        return "waited"

    @mcp.tool
    def fill(bytes: int) -> str:
        """A long text."""
        return "x" * bytes

    @mcp.tool
    async def ask(context: Context) -> str:
        """Asks the user."""
        answer = await context.elicit("How many?", response_type=int)
        return f"{answer.action} {getattr(answer, 'data', None)}"

    @mcp.resource("text://one")
    def one() -> str:
        """A text."""
        return "one"

    @mcp.prompt
    def greet(name: str) -> str:
        """Greets."""
        return f"Greet {name}."


class Log:
    """Says each request with its status, and refuses those without a token that is accepted."""

    def __init__(self, app, accepted):
        self.app = app
        self.accepted = accepted

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        line = {"method": scope["method"], "path": scope["path"]}
        line["session"] = "mcp-session-id" in headers
        for name in CREDENTIALS:
            if name in headers:
                line[name] = digest(headers[name])

        async def noted(message):
            if message["type"] == "http.response.start":
                say(json.dumps(line | {"status": message["status"]}))
            await send(message)

        given = headers.get("authorization", "").removeprefix("Bearer ")
        is_refused = self.accepted and given not in self.accepted
        app = PlainTextResponse("no", status_code=401) if is_refused else self.app
        await app(scope, receive, noted)


def end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="/mcp")
    parser.add_argument("--tls", nargs=2, default=[None, None])
    parser.add_argument("--oauth", type=int)
    parser.add_argument("--accept", nargs="*", default=[])
    options = parser.parse_args()
    # With its protocol named, asyncio sends without a delay.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.host, options.port))
    listener.listen(128)
    certificate, key = options.tls
    scheme = "https" if certificate else "http"
    address = f"{scheme}://{options.host}:{listener.getsockname()[1]}"
    auth = provider(address, options.oauth) if options.oauth else None
    mcp = FastMCP("test", version="1.0.0", auth=auth)
    tools(mcp)
    app = Log(mcp.http_app(path=options.path), options.accept)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    say(f"ready {address}{options.path}")
    config = uvicorn.Config(
        app,
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=0,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    uvicorn.Server(config).run(sockets=[listener])


main()
