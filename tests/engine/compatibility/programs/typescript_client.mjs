// The MCP SDK for TypeScript as a program, in version 1 (`@modelcontextprotocol/sdk`) or 2 (`.../client`).
//
//     node typescript_client.mjs URL FOLDER TASK VERSION
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const [url, folder, task, version] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } =
  version === "2"
    ? await import("@modelcontextprotocol/client")
    : {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
        ...(await import("@modelcontextprotocol/sdk/client/auth.js")),
      };

const file = join(folder, "sign-in.json");
const read = () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {});
const write = (changes) => writeFileSync(file, JSON.stringify({ ...read(), ...changes }));

const answered = Promise.withResolvers();
const callback = createServer((request, response) => {
  response.end("You can close this window.");
  const found = new URL(request.url, "http://localhost").searchParams;
  if (found.has("code") || found.has("error")) answered.resolve(found);
});
await new Promise((resolve) => callback.listen(0, "127.0.0.1", resolve));
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;

const provider = {
  redirectUrl,
  clientMetadata: { client_name: "MCP SDK", redirect_uris: [redirectUrl] },
  clientInformation: () => read().client,
  saveClientInformation: (client) => write({ client }),
  tokens: () => read().tokens,
  saveTokens: (tokens) => write({ tokens }),
  saveCodeVerifier: (verifier) => write({ verifier }),
  codeVerifier: () => read().verifier,
  redirectToAuthorization: (address) => void execFileSync(process.env.BROWSER, [address.href]),
  invalidateCredentials: (scope) => {
    const gone = { all: ["client", "tokens", "verifier"], client: ["client"], tokens: ["tokens"] }[scope] ?? [];
    write(Object.fromEntries(gone.map((name) => [name, undefined])));
  },
};

async function connect() {
  const options = version === "2" ? { versionNegotiation: { mode: "auto" } } : {};
  for (let attempt = 0; ; attempt += 1) {
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
    const client = new Client({ name: "MCP SDK", version: "1" }, options);
    try {
      await client.connect(transport);
      return { client, transport };
    } catch (error) {
      if (!(error instanceof UnauthorizedError) || attempt > 0) throw error;
      const found = await answered.promise;
      if (found.has("error")) throw new Error(`${found.get("error")}: ${found.get("error_description")}`);
      await transport.finishAuth(found.get("code"), found.get("iss") ?? undefined);
    }
  }
}

async function carryOut() {
  const { client, transport } = await connect();
  const arrivals = [];
  const onprogress = () => arrivals.push(performance.now() / 1000);
  const call = (name, args, options) =>
    version === "2"
      ? client.callTool({ name, arguments: args }, options)
      : client.callTool({ name, arguments: args }, undefined, options);
  const { tools } = await client.listTools();
  const protocol = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion;
  const found = { protocol, tools: tools.map((tool) => tool.name) };
  if (task === "all") {
    found.add = await call("add", { a: 2000.25, b: 345.5 });
    found.graph_me = await call("graph_me", {});
    found.counted = await call("count_slowly", { to: 3, seconds_each: 0.4 }, { onprogress });
    found.arrivals = arrivals;
    found.role = await call("admin_stats", {}).catch((error) => ({ error: error.message }));
  }
  return found;
}

const result = await carryOut().catch((error) => ({ error: error.message }));
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
