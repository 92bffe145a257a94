import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, expect, test } from 'vitest';
import { Application, HOOK_SECRET } from '../support/application.js';
import { SECRETS } from '../support/gateway-process.js';
import { backendCall, publish } from '../support/message-calls.js';
import type { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { codeOf, newSession, own, useCluster, watch } from './use-cluster.js';

/** Long enough that nothing else contains it by chance. */
const canary = (name: string) => `canary-${name}-${crypto.randomUUID()}`;
const CANARIES = {
  owner: canary('owner'),
  watcher: canary('watcher'),
  data: canary('data'),
  bytes: Buffer.from(canary('bytes')).toString('base64'),
  signal: canary('signal'),
  published: canary('published'),
  key: canary('key'),
  headerKey: canary('header-key'),
  rejection: canary('rejection'),
};

const application = new Application();
const folder = mkdtemp(join(tmpdir(), 'holdfast-canary-'));

const cluster = useCluster(async () => {
  await application.start();
  const config = join(await folder, 'holdfast.json');
  const namespaces = {
    hidden: { presence: true, exposePrincipals: false, messageHook: true },
    doc: { messageHook: false },
  };
  await writeFile(config, JSON.stringify({ namespaces }));
  const args = [
    ['--auth', 'jwt'],
    ['--config', config],
    ['--log-level', 'debug'],
    ['--message-url', `${application.url}/message`],
    ['--events-url', `${application.url}/events`],
    ['--hook-timeout-ms', '300'],
    ['--max-message-bytes', '2048'],
  ].flat();
  return { nodes: 2, args, env: { HOLDFAST_HOOK_SECRET: HOOK_SECRET } };
});

afterAll(async () => {
  await application.stop();
  await rm(await folder, { recursive: true });
});

async function connect(node: number, principal: string): Promise<RawClient> {
  const jwt = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(principal).setExpirationTime('10m');
  return cluster().connect(node, { token: await jwt.sign(new TextEncoder().encode(SECRETS.HOLDFAST_JWT_SECRET)) });
}

/** Everything that can be said in the session, right and wrong. */
async function say(owner: RawClient, watcher: RawClient, session: string): Promise<string[]> {
  const { data, bytes, signal, published, key, headerKey } = CANARIES;
  const send = { type: 'send', session_id: session } as const;
  const answers = [
    await owner.request({ ...send, data: { [data]: data }, idempotency_key: key }),
    await owner.request({ ...send, data: { [data]: data }, idempotency_key: key }),
    await owner.request({ ...send, data: [data], idempotency_key: key }),
    await owner.request({ ...send, bytes }),
    await owner.request({ ...send, data: data.repeat(100) }),
    await owner.request({ ...send, data, bytes }),
    await owner.request({ ...send, data, idempotency_key: `${key} ${data}` }),
    await watcher.request({ ...send, data, idempotency_key: key }),
    await watcher.request({ type: 'signal', session_id: session, data: signal }),
  ];
  owner.send([data]);
  owner.socket.send(`{"type":"send","data":"${data}`);
  const path = `sessions/${session}/messages`;
  const bodies = [
    { data: published, idempotency_key: key },
    { data: published, idempotency_key: `${key} ` },
    { [published]: published },
    {
      messages: [
        { data: published, expected_offset: 999 },
        { data: [published], idempotency_key: key },
      ],
    },
    { data: published.repeat(100) },
  ];
  for (const body of bodies) await backendCall(cluster().node(1), 'POST', path, body).then((it) => it.text());
  const headers = { authorization: `Bearer ${SECRETS.HOLDFAST_API_KEY}`, 'content-type': 'application/json' };
  for (const body of [JSON.stringify({ data: published }), `{"data":"${published}`]) {
    const init = { method: 'POST', headers: { ...headers, 'idempotency-key': headerKey }, body };
    await fetch(`${cluster().node(0).url}/v1/${path}`, init).then((it) => it.text());
  }
  return answers.map(codeOf);
}

async function positionKey(session: string): Promise<string> {
  const keys = (await redisCall(cluster().redis.port, 'KEYS', `*:s:${session}:pos`)) as string[];
  return keys[0] ?? '';
}

test('no content, key or principal is in a log or a metric, and no hidden principal reaches a subscriber', async () => {
  const { owner: alice, watcher: bob, rejection } = CANARIES;
  application.on('/message', () => ({ accept: true }));
  const session = newSession('hidden');
  const owner = await connect(0, alice);
  await own(owner, session);
  const watcher = await connect(1, bob);
  await watch(watcher, session);
  const usual = [
    'send_ack',
    'send_ack',
    'idempotency_conflict',
    'send_ack',
    'message_too_large',
    'invalid_field',
    'invalid_field',
  ];
  expect(await say(owner, watcher, session)).toEqual([...usual, 'not_owner', 'signal_ack']);

  application.on('/message', () => ({ accept: false, reason: rejection }));
  await say(owner, watcher, session);
  application.on('/message', () => ({ accept: true, data: CANARIES.data, bytes: CANARIES.bytes }));
  await say(owner, watcher, session);
  await application.stop();
  await say(owner, watcher, session);
  await application.start();

  // A record that the scripts choke on: the error of Redis comes with the whole call.
  const broken = newSession();
  const second = await connect(0, alice);
  await own(second, broken);
  await watch(watcher, broken);
  const { port } = cluster().redis;
  const position = await positionKey(broken);
  await redisCall(port, 'SET', position, 'no hash');
  const failing = say(second, watcher, broken);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await redisCall(port, 'DEL', position);
  await failing;

  // Calls that time out.
  cluster().redis.pause();
  const late = say(second, watcher, broken);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  // And on until every node has told of it, which it does of an outage that lasts.
  const isTold = () => cluster().nodes.every(({ rawLog }) => rawLog.includes('store_unavailable'));
  await expect.poll(isTold, { timeout: 20_000 }).toBe(true);
  cluster().redis.resume();
  await late.catch(() => {});
  await publish(cluster().node(0), session, { data: 'the last' });
  await watcher.next('message', (message) => 'data' in message && message.data === 'the last');

  const told = (client: RawClient, own: string) =>
    client.frames
      .slice(1)
      .map(({ message }) => JSON.stringify(message))
      .filter((text) => [alice, bob].some((principal) => principal !== own && text.includes(principal)));
  expect([told(watcher, bob), told(owner, alice)]).toEqual([[], []]);
  expect(watcher.frames.slice(1).some(({ message }) => JSON.stringify(message).includes(alice))).toBe(false);
  expect(watcher.all('presence').length).toBeGreaterThan(0);

  const found: string[] = [];
  for (const node of cluster().nodes) {
    const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
    expect(metrics).toContain('holdfast_');
    expect(node.rawLog).toContain('store_unavailable');
    for (const [name, secret] of Object.entries(CANARIES)) {
      if (node.rawLog.includes(secret)) found.push(`${name} in the log of ${node.nodeId}`);
      if (metrics.includes(secret)) found.push(`${name} in the metrics of ${node.nodeId}`);
    }
    if (node.rawLog.includes(session) || metrics.includes(session)) found.push(`session in ${node.nodeId}`);
  }
  expect(found).toEqual([]);
}, 60_000);
