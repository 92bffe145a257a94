import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GatewayProcess, startGateway } from '../support/gateway-process.js';
import { freePorts } from '../support/ports.js';
import { RawClient, tokenOf } from '../support/raw-client.js';
import { testRedis } from '../support/redis.js';
import { newSession, own } from './use-cluster.js';

interface WorkerStatus {
  node: string;
  pid: number | null;
  restarts: number;
  status: { connections: number; drain: { state: string } } | null;
}

describe('serve --workers 2', () => {
  const clients: RawClient[] = [];
  let gateway: GatewayProcess;

  beforeAll(async () => {
    const { url: redisUrl, prefix: redisPrefix } = testRedis();
    gateway = await startGateway({
      nodeId: 'w',
      redisUrl,
      redisPrefix,
      graceMs: 5_000,
      args: ['--workers', '2', '--drain-ms', '2000'],
    });
  });

  afterAll(async () => {
    for (const client of clients) client.terminate();
    await gateway.stop();
  });

  async function connect(): Promise<RawClient> {
    const client = await RawClient.connect(gateway.connectUrl);
    clients.push(client);
    return client;
  }

  /** Connections, the first of which are on these workers. */
  async function connectTo(...nodes: string[]): Promise<RawClient[]> {
    const found = new Map<string | undefined, RawClient>();
    for (let tries = 0; !nodes.every((node) => found.has(node)); tries++) {
      if (tries === 10) throw new Error(`${nodes.join(' and ')} do not both serve`);
      const client = await connect();
      found.set(client.welcome.node, client);
    }
    return nodes.flatMap((node) => found.get(node) ?? []);
  }

  async function internal(path: string): Promise<Response> {
    return fetch(gateway.internalUrl + path);
  }

  async function workers(): Promise<WorkerStatus[]> {
    return ((await (await internal('/statusz')).json()) as { workers: WorkerStatus[] }).workers;
  }

  async function metric(name: string): Promise<number> {
    const text = await (await internal('/metrics')).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  test('each is a node, and together they answer for one', async () => {
    const session = newSession();
    const [owner, watcher] = (await connectTo('w-1', 'w-2')) as [RawClient, RawClient];
    await own(owner, session);
    expect(await watcher.subscribe(session, { claim: 'never' })).toMatchObject({ owner: false, state: 'owned' });

    expect((await internal('/livez')).status).toBe(200);
    const ready = await internal('/readyz');
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', reasons: [], degraded: [] }]);
    const status = await workers();
    expect(status).toMatchObject([{ node: 'w-1' }, { node: 'w-2' }]);
    const connections = status.map((worker) => worker.status?.connections ?? 0);
    expect(Math.min(...connections)).toBeGreaterThan(0);
    expect(await metric('holdfast_connections')).toBe(clients.length);
    expect(await metric('holdfast_ready')).toBe(2);
    expect(await metric('holdfast_claims_total\\{result="owned"\\}')).toBe(1);
  });

  test('one that is killed comes back with its name, and nothing that was counted is lost', async () => {
    const session = newSession();
    const [owner] = (await connectTo('w-2')) as [RawClient];
    const { token } = await own(owner, session);
    const claims = await metric('holdfast_claims_total\\{result="owned"\\}');
    const before = await workers();
    process.kill(before[1]?.pid ?? 0, 'SIGKILL');
    await owner.whenClosed;
    const [other] = (await connectTo('w-1')) as [RawClient];
    expect(tokenOf(await other.subscribe(session, { reconnect_token: token }))).not.toBe(token);
    expect(await (await internal('/readyz')).json()).toMatchObject({
      status: 'ready',
      degraded: ['w-2: not_running'],
    });
    expect(await metric('holdfast_claims_total\\{result="owned"\\}')).toBe(claims);

    await gateway.untilReady();
    const [first, second] = (await workers()) as [WorkerStatus, WorkerStatus];
    expect(first).toMatchObject({ pid: before[0]?.pid, restarts: 0 });
    expect(second).toMatchObject({ node: 'w-2', restarts: 1 });
    expect(second.pid).not.toBe(before[1]?.pid);
    await connectTo('w-2');
  });

  test('SIGTERM drains all of them', async () => {
    const owners = await connectTo('w-1', 'w-2');
    const tokens = await Promise.all(owners.map((owner) => own(owner, newSession())));
    expect(tokens).toHaveLength(2);
    const pids = (await workers()).map(({ pid }) => pid ?? 0);
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    for (const owner of owners) {
      expect(await owner.whenClosed).toMatchObject({ code: 1012 });
      expect(owner.all('reconnect').at(-1)).toMatchObject({ reason: 'drain', after_ms: 0, jitter_ms: 0 });
    }
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});

test('what is wrong at the start is said once, and ends all', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const [internalPort = 0] = await freePorts(1);
  const { url: redisUrl, prefix: redisPrefix } = testRedis();
  const options = { nodeId: 'w', redisUrl, redisPrefix, graceMs: 1_000, args: ['--workers', '3'] };
  const said = await startGateway(options, { port, internalPort }).catch(({ message }: Error) => message);
  expect(typeof said === 'string' && said.match(/holdfast: .*/g)).toEqual([
    `holdfast: 127.0.0.1:${port} is in use: stop what listens there, or choose another --port or --internal-port`,
  ]);
  taken.close();
});
