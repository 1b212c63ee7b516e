// The TypeScript SDK 1.x and 2.x as a client: runs the steps and prints what it saw as JSON.
//
//   node ts.mjs NODE_MODULES CLIENT PLAN
//
// CLIENT is `ts-1`, `ts-2`, or `ts-2-auto` (which starts the server twice). PLAN is JSON:
// {command, args, env?, cwd?, roots?, answers?, steps}, or {url, sse?, …} for a remote server; a step
// is a method without parameters, [method, params], ["cancel", params] for a call that is given up at
// its first progress, or ["!", program]. With `roots`, the client declares roots; with `answers`,
// sampling and elicitation, which it answers with those.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";

// The console output of the SDK is not part of the result.
console.log = console.info = console.debug = console.error;

const [modules, kind, text] = process.argv.slice(2);
const plan = JSON.parse(text);
const load = createRequire(`${modules}/x.js`);
const old = kind === "ts-1";
const { Client } = load(old ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StdioClientTransport } = load(
  old ? "@modelcontextprotocol/sdk/client/stdio.js" : "@modelcontextprotocol/client/stdio",
);

const seen = { steps: [], notices: [], stderr: "", errors: [] };
const failure = (error) => ({ code: error.code, message: error.message, data: error.data });

const { command, args, env, cwd, roots, answers, url, sse } = plan;
let transport;
if (url) {
  const name = sse ? "SSEClientTransport" : "StreamableHTTPClientTransport";
  const path = sse ? "sse" : "streamableHttp";
  const module = old ? `@modelcontextprotocol/sdk/client/${path}.js` : "@modelcontextprotocol/client";
  transport = new (load(module)[name])(new URL(url));
} else {
  transport = new StdioClientTransport({ command, args, env, cwd, stderr: "pipe" });
  transport.stderr.on("data", (data) => (seen.stderr += data));
}
const capabilities = { ...(roots && { roots: {} }), ...(answers && { sampling: {}, elicitation: {} }) };
const client = new Client(
  { name: "transparent", version: "1.0.0" },
  { capabilities, versionNegotiation: { mode: kind === "ts-2-auto" ? "auto" : "legacy" } },
);
let closed;
const closing = new Promise((resolve) => (closed = resolve));
client.onclose = () => closed("closed");
client.onerror = (error) => seen.errors.push(error.message);
if (roots) {
  const asked = old ? load("@modelcontextprotocol/sdk/types.js").ListRootsRequestSchema : "roots/list";
  client.setRequestHandler(asked, async () => ({ roots }));
}
if (answers) {
  const types = old && load("@modelcontextprotocol/sdk/types.js");
  client.setRequestHandler(old ? types.CreateMessageRequestSchema : "sampling/createMessage", async (asked) => {
    seen.notices.push(asked);
    return answers.sampling;
  });
  client.setRequestHandler(old ? types.ElicitRequestSchema : "elicitation/create", async (asked) => {
    seen.notices.push(asked);
    return answers.elicitation;
  });
}
client.fallbackNotificationHandler = async (notice) => void seen.notices.push(notice);

const call = (params, options) => (old ? client.callTool(params, undefined, options) : client.callTool(params, options));

// The SDK's name of each method.
const calls = {
  "tools/list": () => client.listTools(),
  "tools/call": (params) => call(params, { onprogress: (progress) => seen.notices.push({ progress }) }),
  cancel: (params) => {
    const giving = new AbortController();
    return call(params, { signal: giving.signal, onprogress: () => giving.abort("given up") });
  },
  "resources/list": () => client.listResources(),
  "resources/templates/list": () => client.listResourceTemplates(),
  "resources/read": (params) => client.readResource(params),
  "prompts/list": () => client.listPrompts(),
  "prompts/get": (params) => client.getPrompt(params),
  "resources/subscribe": (params) => client.subscribeResource(params),
  "logging/setLevel": (params) => client.setLoggingLevel(params.level),
  ping: () => client.ping(),
  // Not a method: a program to run during the session.
  "!": (program) => new Promise((done) => spawn(program).on("exit", (code) => done({ code }))),
};

try {
  await client.connect(transport);
  seen.server = client.getServerVersion();
  seen.capabilities = client.getServerCapabilities();
  seen.instructions = client.getInstructions();
  for (const step of plan.steps) {
    const [method, params] = [].concat(step);
    try {
      seen.steps.push({ method, result: await calls[method](params) });
    } catch (error) {
      seen.steps.push({ method, error: failure(error) });
    }
  }
  if (plan.dies) seen.close = await closing;
} catch (error) {
  seen.connect = failure(error);
}
await client.close();
seen.close ??= await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 5000))]);
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
