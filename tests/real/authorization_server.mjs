// An authorization server made with npm's oidc-provider, and an MCP server that trusts it.
// node authorization_server.mjs LIFE: access tokens are good for LIFE seconds. Run it with the folder
// that holds node_modules as the current one. The first line on stdout is the origin of both.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const load = createRequire(`${process.cwd()}/`);
const { Provider } = await import(pathToFileURL(load.resolve('oidc-provider')));

const life = Number(process.argv[2] ?? 3600);
const counts = {};
const count = (what) => { counts[what] = (counts[what] ?? 0) + 1; };
const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${server.address().port}`;
const resource = `${origin}/mcp`;

const provider = new Provider(origin, {
  scopes: ['openid', 'offline_access', 'notes:read'],
  features: {
    registration: { enabled: true },
    revocation: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: 'notes:read', accessTokenTTL: life, accessTokenFormat: 'opaque' }),
      useGrantedResource: () => true,
    },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: life, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600, DeviceCode: 600, IdToken: 600 },
});
provider.on('grant.success', (ctx) => count(ctx.oidc.params.grant_type));
provider.on('grant.error', (ctx, error) => count(error.error));
provider.on('registration_create.success', () => count('registration'));
provider.on('access_token.destroyed', () => count('access_token.destroyed'));
provider.on('refresh_token.destroyed', () => count('refresh_token.destroyed'));

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
};

const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;

async function mcp(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const bearer = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const token = bearer && (await provider.AccessToken.find(bearer));
  if (!token || token.isExpired || token.aud !== resource) {
    count('401');
    return json(response, 401, undefined, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` });
  }
  if (request.method !== 'POST') return json(response, 405);
  const message = JSON.parse(body);
  if (message.id === undefined) return json(response, 202);
  const results = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'guarded', version: '1' } },
    ping: {},
    'tools/list': { tools: [{ name: 'whoami', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: token.accountId }] },
  };
  const result = results[message.method];
  return json(response, 200, result === undefined
    ? { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } }
    : { jsonrpc: '2.0', id: message.id, result });
}

const answer = provider.callback();
server.on('request', (request, response) => {
  const { pathname } = new URL(request.url, origin);
  if (pathname === '/mcp') return mcp(request, response);
  if (pathname === '/counts') return json(response, 200, counts);
  if (pathname === '/.well-known/oauth-protected-resource/mcp') {
    return json(response, 200, { resource, authorization_servers: [origin], scopes_supported: ['openid', 'notes:read'] });
  }
  if (pathname === '/token/revocation') count('revocation');
  return answer(request, response);
});
console.log(origin);
