// Lists all tools of an MCP server over Streamable HTTP and calls some, with an SDK for TypeScript.
//
//     node client.mjs FOLDER PACKAGE MODE URL TOKEN < CALLS > ANSWER
//
// FOLDER holds node_modules; PACKAGE is "@modelcontextprotocol/sdk" (2025 only) or
// "@modelcontextprotocol/client" (MODE "legacy" or "auto"). CALLS is [{"name", "arguments"}];
// ANSWER is {"version", "tools": [name], "texts": [text of the first content]}.

import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const [folder, name, mode, url, token] = process.argv.slice(2);
const require = createRequire(join(folder, "client.js"));
const { Client, StreamableHTTPClientTransport } =
  name === "@modelcontextprotocol/sdk"
    ? {
        ...require(`${name}/client/index.js`),
        ...require(`${name}/client/streamableHttp.js`),
      }
    : require(name);

const client = new Client(
  { name: "client.mjs", version: "1.0.0" },
  { versionNegotiation: { mode } },
);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
await client.connect(transport);

const tools = [];
let cursor;
do {
  const page = await client.listTools(cursor === undefined ? undefined : { cursor });
  tools.push(...page.tools.map((tool) => tool.name));
  cursor = page.nextCursor;
} while (cursor !== undefined);

const texts = [];
for (const call of JSON.parse(await text(process.stdin))) {
  const result = await client.callTool(call);
  texts.push(result.content[0].text);
}
const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion;
await client.close();
process.stdout.write(JSON.stringify({ version, tools, texts }));
