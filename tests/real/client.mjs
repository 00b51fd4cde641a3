// Lists all tools of an MCP server and calls some, with an SDK for TypeScript.
//
//     node client.mjs FOLDER PACKAGE MODE URL TOKEN < CALLS > ANSWER
//     node client.mjs FOLDER PACKAGE MODE CONFIG < CALLS > ANSWER
//
// CONFIG is a file in Claude Desktop's form: its only server is started.
// FOLDER holds node_modules; PACKAGE is "@modelcontextprotocol/sdk" (2025 only) or
// "@modelcontextprotocol/client" (MODE "legacy" or "auto"). CALLS is [{"name", "arguments"}];
// ANSWER is {"version", "tools": [name], "texts": [text of the first content]}.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const [folder, name, mode, where, token] = process.argv.slice(2);
const require = createRequire(join(folder, "client.js"));
const { Client, StdioClientTransport, StreamableHTTPClientTransport } =
  name === "@modelcontextprotocol/sdk"
    ? {
        ...require(`${name}/client/index.js`),
        ...require(`${name}/client/stdio.js`),
        ...require(`${name}/client/streamableHttp.js`),
      }
    : { ...require(name), ...require(`${name}/stdio`) };

const client = new Client(
  { name: "client.mjs", version: "1.0.0" },
  { versionNegotiation: { mode } },
);
const launch = (config) =>
  Object.values(JSON.parse(readFileSync(config, "utf8")).mcpServers)[0];
const transport =
  token === undefined
    ? new StdioClientTransport(launch(where))
    : new StreamableHTTPClientTransport(new URL(where), {
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
