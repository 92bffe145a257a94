import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { SignJWT } from 'jose';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import type { Log } from '../../src/lib/log.js';
import { createJwtVerifier } from '../../src/login/jwt.js';
import { createLogger } from '../../src/ops/logger.js';
import { fakeAuthentication } from '../transport/fake-logins.js';
import { Client, connected, rawSocket, refusedUpgrade, startGateway, upgradeHead } from '../transport/gateway.js';

const JWT_SECRET = randomBytes(32);
const SECRETS = {
  apiKey: `key-${randomBytes(24).toString('base64url')}`,
  reconnectToken: `${randomUUID()}.${randomBytes(32).toString('base64url')}`,
  attemptId: randomBytes(24).toString('base64url'),
  ticket: randomBytes(24).toString('base64url'),
  jwt: await new SignJWT({ sub: 'alice', exp: Date.now() / 1000 + 60 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(JWT_SECRET),
};

/** Everything a client or a backend can do with a secret, right and wrong, against a gateway that logs to `log`. */
async function traffic(log: Log): Promise<void> {
  const { apiKey, reconnectToken, attemptId, ticket, jwt } = SECRETS;
  const jwtVerifier = createJwtVerifier({ secrets: [JWT_SECRET], clockToleranceMs: 0 });
  const { live, authentication } = await fakeAuthentication(systemClock, { jwt: jwtVerifier, anonymous: true });
  onTestFinished(() => live.stop());
  const { port, server, sessions } = await startGateway({
    log,
    apiKeyHashes: [createHash('sha256').update(apiKey).digest()],
    authentication,
  });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  const subscribe = { type: 'subscribe', session_id: 's', reconnect_token: reconnectToken, attempt_id: attemptId };

  const client = await connected(port, bearer(jwt));
  await client.ask(subscribe);
  await client.ask(JSON.stringify(subscribe).slice(0, -2));
  await client.ask({ ...subscribe, claim: reconnectToken });
  // What a careless part of the node might throw.
  sessions.error = new Error(`EVALSHA claim ${reconnectToken} for ${jwt} failed`, {
    cause: Object.assign(new Error('reply'), { command: { args: [reconnectToken, attemptId, apiKey] } }),
  });
  await client.ask({ type: 'claim', session_id: 's', attempt_id: attemptId });
  await client.ask({ type: 'renew_login', access_token: jwt });
  await client.ask({ type: 'renew_login', access_token: ticket });
  client.socket.close(4000, `bye ${reconnectToken}`);
  await client.closed();

  await new Client(port, bearer(`${jwt}x`)).closed();
  await new Client(port, bearer(apiKey)).closed();
  await refusedUpgrade(port, {}, `/v1/connect?token=${jwt}&ticket=${ticket}`);
  await refusedUpgrade(port, { origin: `https://${ticket}.example` });
  const raw = await rawSocket(port);
  raw.write(upgradeHead(`Sec-WebSocket-Protocol: holdfast.ticket.${ticket}\r\n`));
  await once(raw, 'data');

  const put = (authorization: string, body: string) =>
    fetch(`http://127.0.0.1:${port}/v1/sessions/s/owner?key=${apiKey}`, {
      method: 'PUT',
      headers: { authorization, 'content-type': 'application/json' },
      body,
    });
  await put(`Bearer ${apiKey}`, `{"principal":"alice"}`);
  await put(`Bearer ${apiKey}`, `{"principal":"${reconnectToken}`);
  await put(`Basic ${apiKey}`, '{}');
  sessions.departure = Promise.reject(new Error(`hold of ${reconnectToken} failed`));
  sessions.departure.catch(() => {});
  const last = await connected(port);
  for (const connection of server.connections()) connection.close('slow_consumer');
  await last.closed();
}

function leaks(lines: readonly string[]): string[] {
  const text = lines.join('');
  const parts = Object.entries(SECRETS).flatMap(([name, secret]) =>
    secret.split('.').map((part) => [name, part] as const),
  );
  return [...new Set(parts.filter(([, part]) => text.includes(part)).map(([name]) => name))];
}

it('no secret reaches a log line', async () => {
  const lines: string[] = [];
  await traffic(
    createLogger({ nodeId: 'n1', level: 'debug', destination: { write: (line) => void lines.push(line) } }),
  );
  const events = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(new Set(events)).toEqual(
    new Set([
      'connection opened',
      'connection closed',
      'request failed unexpectedly',
      'credential refused',
      'upgrade refused',
      'leases not handed back',
    ]),
  );
  expect(leaks(lines)).toEqual([]);
});

it('a logger that does not censor would be caught', async () => {
  const lines: string[] = [];
  const naive = (fields: object, message: string) => {
    const error = 'error' in fields ? String((fields.error as Error).stack) : undefined;
    lines.push(JSON.stringify({ ...fields, error, message }));
  };
  await traffic({ debug: naive, info: naive, warn: naive, error: naive });
  expect(leaks(lines).sort()).toEqual(['jwt', 'reconnectToken']);
});
