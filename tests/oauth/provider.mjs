// A remote server with an identity provider of its own, on a free port. It approves by itself.
//
//     OIDC=…/oidc-provider node provider.mjs SECONDS
//
// Each token lives that many seconds. Says `ready URL KEY KEY` (the private keys of the clients `signer`
// and `signer-rsa`, in base64), then each request to an endpoint with its grant and status. `POST /control/MODE` sets what
// happens to token requests: `pass`, `hold-before`, `hold-after`, `refuse`,
// `refuse-all` (the MCP server as well), `fail`; `drop`: those that wait never arrived.
// `no-revocation` and `hold-revocation` are about requests to revoke. It ends with stdin.
import { createServer } from "node:http";
import { generateKeyPairSync, createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(`${process.env.OIDC}/lib/index.js`));
const life = Number(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);

const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...keys.publicKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "one" };
const pem = keys.privateKey.export({ format: "pem", type: "pkcs8" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaJwk = { ...rsa.publicKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "two" };
const rsaPem = rsa.privateKey.export({ format: "pem", type: "pkcs8" });

const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const origin = `http://127.0.0.1:${server.address().port}`;
const resource = `${origin}/mcp`;

const machine = (id, more) => ({
  client_id: id,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  scope: "read write",
  ...more,
});

const provider = new Provider(origin, {
  clients: [
    machine("machine", { client_secret: "machine-secret-4711-x9", token_endpoint_auth_method: "client_secret_basic" }),
    machine("signer", {
      jwks: { keys: [jwk] },
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256",
    }),
    machine("signer-rsa", {
      jwks: { keys: [rsaJwk] },
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "RS256",
    }),
  ],
  scopes: ["openid", "offline_access", "read", "write", "admin"],
  clientAuthMethods: ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
  rotateRefreshToken: true,
  issueRefreshToken: () => true,
  ttl: { AccessToken: life, ClientCredentials: life, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 3600, AuthorizationCode: 60 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/approve/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new Error(`unknown resource ${indicator}`);
        return { scope: "read write admin", audience: resource, accessTokenTTL: life, accessTokenFormat: "opaque" };
      },
    },
  },
});

// Nobody is asked: the account is `ana`, and everything is granted.
async function approve(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: "ana" } });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  for (const [where, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(where, scopes.join(" "));
  }
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

let mode = "pass";
let held = [];
const hold = () => new Promise((done) => held.push(done));
const callback = provider.callback();

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};

// The MCP server: it checks the token, and answers every request but calls of `endless`.
async function mcp(request, response) {
  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const digest = createHash("sha256").update(token).digest("hex");
  const found = token && ((await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token)));
  const is_good = mode !== "refuse-all" && found && found.isValid && found.aud === resource;
  say(`mcp ${is_good ? 200 : 401} ${digest}`);
  const asked = request.method === "POST" ? JSON.parse((await text(request)) || "{}") : {};
  if (is_good && asked.params?.name === "endless") return say("endless");
  if (is_good && asked.id !== undefined) {
    const result = { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "p", version: "1" } };
    return json(response, 200, { jsonrpc: "2.0", id: asked.id, result: asked.method === "initialize" ? result : {} });
  }
  if (is_good) return json(response, 200, { scope: found.scope });
  const challenge = `Basic realm="a, b", Bearer resource_metadata="${origin}/resource", scope="read"`;
  return json(response, 401, {}, { "www-authenticate": challenge });
}

async function token(request, response) {
  const now = mode;
  say(`asked ${now}`);
  if (now === "hold-before" && (await hold()) === "drop") return request.socket.destroy();
  if (now.startsWith("refuse")) return json(response, 400, { error: "invalid_grant" });
  if (now === "fail") return json(response, 503, {});
  if (now === "hold-after") {
    const end = response.end.bind(response);
    response.end = (...rest) => {
      say("decided");
      hold().then(() => end(...rest));
    };
  }
  response.on("finish", () => say(`token ${response.statusCode}`));
  return callback(request, response);
}

server.on("request", async (request, response) => {
  try {
    const path = new URL(request.url, origin).pathname;
    if (path.startsWith("/control/")) {
      mode = path.slice(9);
      for (const done of held.splice(0)) done(mode);
      return json(response, 200, {});
    }
    if (path === "/resource") return json(response, 200, { resource, authorization_servers: [origin], scopes_supported: ["read", "write"] });
    if (path === "/mcp") return await mcp(request, response);
    if (path.startsWith("/approve/")) return await approve(request, response);
    if (path === "/token") return await token(request, response);
    if (path === "/token/revocation" && mode === "no-revocation") {
      say(`${path} 503`);
      return json(response, 503, {});
    }
    if (path === "/token/revocation" && mode === "hold-revocation") {
      say("asked to revoke");
      await hold();
    }
    if (path === "/reg" || path === "/token/revocation") response.on("finish", () => say(`${path} ${response.statusCode}`));
    return await callback(request, response);
  } catch (error) {
    say(`fault ${error}`);
    response.destroy();
  }
});

process.stdin.on("end", () => process.exit(0)).resume();
say(`ready ${resource} ${Buffer.from(pem).toString("base64")} ${Buffer.from(rsaPem).toString("base64")}`);
