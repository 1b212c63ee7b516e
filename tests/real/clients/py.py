"""The Python SDK 1.x and 2.x as a client: runs the steps and prints what it saw as JSON.

    python py.py CLIENT PLAN

CLIENT is `py-1`, `py-2` or `py-2-auto`. PLAN is JSON: {command, args, env?, cwd?, roots?, answers?,
steps}, or {url, sse?, …} for a remote server; a step is a method without parameters, [method, params],
or ["!", program]. With `roots`, the client declares roots and prints the notifications of the server;
with `answers`, it declares sampling and elicitation, and answers with those.
"""

import asyncio
import json
import sys
import tempfile
from contextlib import AsyncExitStack

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def failure(error):
    inner = getattr(error, "error", None)
    if inner is not None:
        return plain(inner)
    # An exception group of anyio: the errors are inside.
    return {"message": [failure(e) for e in getattr(error, "exceptions", [])] or repr(error)}


async def do(session, method, params, seen):
    async def progress(*what):
        seen.setdefault("notices", []).append({"progress": what})

    match method:
        case "tools/list":
            return await session.list_tools()
        case "tools/call":
            arguments = params.get("arguments")
            return await session.call_tool(params["name"], arguments, progress_callback=progress)
        case "resources/list":
            return await session.list_resources()
        case "resources/templates/list":
            return await session.list_resource_templates()
        case "resources/read":
            return await session.read_resource(params["uri"])
        case "prompts/list":
            return await session.list_prompts()
        case "prompts/get":
            return await session.get_prompt(params["name"], params.get("arguments"))
        case "resources/subscribe":
            return await session.subscribe_resource(params["uri"])
        case "logging/setLevel":
            return await session.set_logging_level(params["level"])
        case "ping":
            return await session.send_ping()
    raise ValueError(method)


def handlers(plan, seen):
    """What a client is to its server, as both majors take it."""
    found = {}

    async def list_roots(_context):
        return ListRootsResult.model_validate({"roots": plan["roots"]})

    async def note(message):
        model = getattr(message, "root", message)
        if getattr(model, "method", None):
            seen["notices"].append(plain(model))

    def answering(model, name):
        async def answer(_context, params):
            seen["notices"].append({name: plain(params)})
            return model.model_validate(plan["answers"][name])

        return answer

    if "roots" in plan or "answers" in plan:
        seen["notices"] = []
        found["message_handler"] = note
    if "roots" in plan:
        found["list_roots_callback"] = list_roots
    if "answers" in plan:
        found["sampling_callback"] = answering(CreateMessageResult, "sampling")
        found["elicitation_callback"] = answering(ElicitResult, "elicitation")
    return found


def reach(plan, errlog):
    if "url" in plan:
        return sse_client(plan["url"]) if plan.get("sse") else streamable_http_client(plan["url"])
    known = ("command", "args", "env", "cwd")
    server = StdioServerParameters(**{name: plan[name] for name in known if name in plan})
    return stdio_client(server, errlog)


async def connect(stack, kind, plan, errlog, seen):
    transport = reach(plan, errlog)
    if kind == "py-1":
        reader, writer, *_ = await stack.enter_async_context(transport)
        session = ClientSession(reader, writer, **handlers(plan, seen))
        session = await stack.enter_async_context(session)
        seen["server"] = plain(await session.initialize())
        return session
    from mcp.client.client import Client

    mode = "auto" if kind == "py-2-auto" else "legacy"
    client = Client(transport, mode=mode, **handlers(plan, seen))
    await stack.enter_async_context(client)
    seen["server"] = {
        "protocol": client.protocol_version,
        "info": client.server_info and plain(client.server_info),
        "capabilities": plain(client.server_capabilities),
        "instructions": client.instructions,
    }
    return client


async def main(kind, plan):
    seen = {"steps": []}
    with tempfile.TemporaryFile("w+", errors="backslashreplace") as errlog:
        try:
            async with AsyncExitStack() as stack:
                session = await connect(stack, kind, plan, errlog, seen)
                for step in plan["steps"]:
                    method, params = step if isinstance(step, list) else (step, {})
                    if method == "!":
                        # Not a method: a program to run during the session.
                        process = await asyncio.create_subprocess_exec(params, stdout=sys.stderr)
                        code = await process.wait()
                        seen["steps"].append({"method": method, "result": {"code": code}})
                        continue
                    try:
                        result = plain(await do(session, method, params, seen))
                        seen["steps"].append({"method": method, "result": result})
                    except Exception as error:
                        seen["steps"].append({"method": method, "error": failure(error)})
        except BaseException as error:
            seen["connect"] = failure(error)
        errlog.seek(0)
        seen["stderr"] = errlog.read()
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
