/** Refreshing against the bare script, connecting with a credential against bare `ws`, and what verifying costs. */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { systemClock } from '../src/lib/clock.js';
import { AccessTokens, SigningKeys } from '../src/login/access-token.js';
import { loginHandle, principalHandle } from '../src/login/handles.js';
import type { CreateLogin, LoginTimings, PresentedToken } from '../src/login/ports.js';
import { connectRedis, type RedisConnection } from '../src/store/redis/client.js';
import { RedisLoginStore } from '../src/store/redis/login-store.js';
import { createLogin, ticketFor } from '../test/support/login-calls.js';
import { startPrivateRedis } from '../test/support/redis.js';
import { quietStore, silent } from '../test/support/silent.js';
import { startRedisGateway } from './gateway.js';
import { cpuSeconds, startPeer } from './process.js';
import { inParallel, RawSocket } from './raw-socket.js';
import { median, ratio, table } from './report.js';

const IN_FLIGHT = 64;
const LOGINS = 10_000;
const ROUNDS = 5;
const CONNECTIONS = 2_000;
const VERIFICATIONS = 5_000;
const TIMINGS: LoginTimings = {
  reuseIntervalMs: 100,
  retentionMs: 3_600_000,
  maxAuditEvents: 100_000,
  maxLoginsPerPrincipal: 1_000_000,
};
const SECRET = { id: 'bench', value: randomBytes(32).toString('base64url') };

type Evalsha = [sha1: string, keyCount: number, ...rest: (string | number)[]];

const hash = (text: string) => createHash('sha256').update(text).digest('base64url');
const handleOf = (index: number) => loginHandle(`bench-login-with-a-long-name-${index}`);

function creationOf(index: number): CreateLogin {
  return {
    handle: handleOf(index),
    loginId: `bench-login-with-a-long-name-${index}`,
    chosen: false,
    requestHash: '',
    principal: `person-${index}`,
    principalHandle: principalHandle(`person-${index}`),
    attributes: '{}',
    rights: '[]',
    idleMs: 3_600_000,
    maxMs: 7_200_000,
    expiresAtMs: 0,
    tokenHash: hash(`${index} 1`),
  };
}

function presentationOf(index: number, generation: number): PresentedToken {
  const [tokenHash, successorHash] = [hash(`${index} ${generation}`), hash(`${index} ${generation + 1}`)];
  return { generation, tokenHash, successorHash, rotate: true };
}

/** Operations a second. */
async function rate(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await inParallel(count, IN_FLIGHT, async (index) => void (await work(index)));
  return count / ((performance.now() - startedMs) / 1000);
}

/** The arguments of the calls that the store makes, without making them. */
async function recorded(connection: RedisConnection, generation: number): Promise<Evalsha[]> {
  const calls: Evalsha[] = [];
  const commands = { evalsha: async (...args: Evalsha) => (calls.push(args), ['unknown']) };
  const store = new RedisLoginStore({ ...connection, commands } as unknown as RedisConnection, TIMINGS);
  for (let index = 0; index < LOGINS; index++) {
    await store.present(handleOf(index), presentationOf(index, generation)).catch(() => {});
  }
  return calls;
}

async function refreshing(): Promise<void> {
  const redis = await startPrivateRedis();
  const connection = await connectRedis(redis.url, { prefix: 'bench', log: silent, telemetry: quietStore });
  const plain = new Redis(redis.url, { protocol: 2 });
  try {
    const store = new RedisLoginStore(connection, TIMINGS);
    await rate(LOGINS, (index) => store.create(creationOf(index)));
    const rates: Record<'ours' | 'bare', number[]> = { ours: [], bare: [] };
    let generation = 1;
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(2 * TIMINGS.reuseIntervalMs);
      rates.ours.push(await rate(LOGINS, (index) => store.present(handleOf(index), presentationOf(index, generation))));
      generation += 1;
      const calls = await recorded(connection, generation);
      await sleep(2 * TIMINGS.reuseIntervalMs);
      rates.bare.push(await rate(LOGINS, (index) => plain.evalsha(...(calls[index] as Evalsha))));
      generation += 1;
    }
    const [ours, bare] = [median(rates.ours), median(rates.bare)];
    const row = (name: string, value: number, against: string) => [
      name,
      Math.round(value).toLocaleString('en'),
      against,
    ];
    table(
      `Rotations, ${IN_FLIGHT} in flight, medians of ${ROUNDS} rounds of ${LOGINS}`,
      ['', 'a second', 'against bare EVALSHA'],
      [row('bare EVALSHA', bare, '1.00×'), row('rotation', ours, ratio(ours / bare, { atLeast: 0.7 }))],
    );
  } finally {
    plain.disconnect();
    await connection.close();
    await redis.stop();
  }
}

/** Server CPU in µs for one connection, opened and told so. */
async function cpuOf(pid: number, open: (index: number) => Promise<RawSocket>): Promise<number> {
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuSeconds(pid);
    const sockets: RawSocket[] = [];
    await inParallel(CONNECTIONS, IN_FLIGHT, async (index) => void sockets.push(await open(index)));
    samples.push(((cpuSeconds(pid) - before) / CONNECTIONS) * 1e6);
    for (const socket of sockets) socket.cut();
    await sleep(300);
  }
  // The first rounds compile.
  return median(samples.slice(2));
}

function welcomed(socket: RawSocket): Promise<RawSocket> {
  return new Promise((resolve) => {
    socket.onText = () => resolve(socket);
  });
}

async function connecting(): Promise<void> {
  const bare = await startPeer(fileURLToPath(new URL('./peers/bare-ws.mjs', import.meta.url)));
  const bareUs = await cpuOf(bare.pid, () => RawSocket.open(bare.port, '/')).finally(() => bare.stop());
  const redis = await startPrivateRedis();
  const node = await startRedisGateway('n1', redis.url, 30_000, ['--auth', 'login,anonymous']);
  try {
    const tokens: string[] = [];
    for (let index = 0; index < 100; index++) {
      tokens.push((await createLogin(node, { principal: `person-${index}` })).access_token);
    }
    const tokenOf = (index: number) => tokens[index % tokens.length] ?? '';
    const open = async (header: string) => welcomed(await RawSocket.open(node.port, '/v1/connect', header));
    const anonymousUs = await cpuOf(node.pid, () => open(''));
    const bearerUs = await cpuOf(node.pid, (index) => open(`Authorization: Bearer ${tokenOf(index)}`));
    const ticketUs = await cpuOf(node.pid, async (index) => {
      const ticket = await ticketFor(node, tokenOf(index));
      return open(`Sec-WebSocket-Protocol: holdfast.v1, holdfast.ticket.${ticket}`);
    });
    const row = (name: string, us: number) => [name, us.toFixed(0), ratio(us / bareUs)];
    table(
      `Opening a connection until its first frame, medians over rounds of ${CONNECTIONS}`,
      ['', 'server CPU µs', 'against bare ws'],
      [
        row('bare ws upgrade', bareUs),
        row('anonymous: upgrade, welcome', anonymousUs),
        row('access token: upgrade, login read, welcome', bearerUs),
        row('ticket over HTTP, upgrade, login read, welcome', ticketUs),
      ],
    );
  } finally {
    await node.kill();
    await redis.stop();
  }
}

/** CPU of this process in µs for one verification. */
async function verifying(): Promise<void> {
  const rows: (string | number)[][] = [];
  const seed = { id: 'bench', seed: randomBytes(32) };
  for (const keys of [SigningKeys.ofSecrets([SECRET]), SigningKeys.ofSeeds([seed])]) {
    const tokens = new AccessTokens(keys, 'bench');
    const claims = { principal: 'someone', loginId: 'bench-login-with-a-long-name', rights: [] };
    const { token } = await tokens.issue(claims, systemClock.wallMs(), 300_000);
    const once = async (): Promise<string> => {
      const before = process.cpuUsage();
      await rate(VERIFICATIONS, () => tokens.verify(token, systemClock.wallMs()));
      const { user, system } = process.cpuUsage(before);
      return ((user + system) / VERIFICATIONS).toFixed(0);
    };
    await once();
    rows.push([keys.algorithm, await once()]);
  }
  table(`Verifying an access token that is not in the cache`, ['', 'CPU µs'], rows);
}

export async function logins(): Promise<void> {
  await refreshing();
  await connecting();
  await verifying();
}
