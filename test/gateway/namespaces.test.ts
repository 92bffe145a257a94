import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/gateway.js';
import { fileOf, load } from '../config/loading.js';
import { Application, HOOK_SECRET } from '../support/application.js';
import { SECRETS } from '../support/gateway-process.js';
import { historyOf } from '../support/message-calls.js';
import { RawClient, type Request } from '../support/raw-client.js';
import { silent } from '../support/silent.js';

/** Each is called after the setting that it overrides. */
const namespaces = {
  graceMs: { graceMs: 500 },
  handoverPolicy: { handoverPolicy: 'explicit_claim' },
  exposePrincipals: { exposePrincipals: false },
  historyCount: { historyCount: 2 },
  // The one needs the other, and so do the next two.
  historyBytes: { historyBytes: 2_048, maxMessageBytes: 1_024 },
  historyWhenFull: { historyWhenFull: 'refuse', historyCount: 2 },
  historyAgeMs: { historyAgeMs: 1_000 },
  maxMessageBytes: { maxMessageBytes: 1_024 },
  sendsPerSecond: { sendsPerSecond: 1 },
  presence: { presence: true, graceMs: 500 },
  authorizeHook: { authorizeHook: false },
  messageHook: { messageHook: false },
  rights: { rights: [{ principals: '*', allow: ['force'] }] },
};

const application = new Application();
let gateway: Gateway;

beforeAll(async () => {
  await application.start();
  application.on('/authorize', ({ body }) => ({
    allow: String(body['session_id']).endsWith(':authorizeHook') ? ['force'] : [],
  }));
  application.on('/message', ({ body }) => ({ accept: body['data'] !== 'bad' }));
  const file = fileOf({
    port: 0,
    internalPort: 0,
    auth: ['anonymous'],
    rights: [{ principals: '*', sessions: '*', allow: ['watch', 'own', 'send'] }],
    exposePrincipals: true,
    authorizeUrl: `${application.url}/authorize`,
    messageUrl: `${application.url}/message`,
    namespaces,
  });
  const { config } = load({ file, env: { ...SECRETS, HOLDFAST_HOOK_SECRET: HOOK_SECRET } });
  gateway = await startGateway(config, { log: silent, page: false, openRights: false });
});

afterAll(async () => {
  await gateway.close();
  await application.stop();
});

const connect = () => RawClient.connect(`ws://${gateway.address}/v1/connect`);

async function subscribed(session: string) {
  return (await connect()).subscribe(session);
}

/** By a connection that follows the session. @returns the code of each answer, its type where it is none */
async function codes(session: string, ...requests: Partial<Request>[]): Promise<string[]> {
  const client = await connect();
  await client.subscribe(session);
  const asked = requests.map((it) => client.request({ ...it, session_id: session } as Request));
  return (await Promise.all(asked)).map((reply) => (reply.type === 'error' ? reply.code : reply.type));
}

const sent = (session: string, ...data: unknown[]) =>
  codes(session, ...data.map((it) => ({ type: 'send', data: it }) as const));

const forced = (session: string) => codes(session, { type: 'claim', force: true });

async function kept(session: string, ...data: unknown[]): Promise<number> {
  await sent(session, ...data);
  return (await historyOf({ url: `http://${gateway.address}` }, session)).length;
}

describe('a namespace of the file has its own', () => {
  it.each<[keyof typeof namespaces, (session: string) => Promise<unknown>, own: unknown, common: unknown]>([
    ['graceMs', async (session) => (await subscribed(session)).grace_ms, 500, 30_000],
    ['handoverPolicy', async (session) => (await subscribed(session)).owner, false, true],
    ['exposePrincipals', async (session) => 'principal' in (await subscribed(session)), false, true],
    ['historyCount', (session) => kept(session, 1, 2, 3), 2, 3],
    ['historyBytes', (session) => kept(session, ...Array(3).fill('x'.repeat(800))), 2, 3],
    ['historyWhenFull', async (session) => (await sent(session, 1, 2, 3))[2], 'history_full', 'send_ack'],
    ['maxMessageBytes', (session) => sent(session, 'x'.repeat(1_024)), ['message_too_large'], ['send_ack']],
    ['sendsPerSecond', async (session) => (await sent(session, 1, 2, 3, 4)).includes('rate_limited'), true, false],
    ['authorizeHook', forced, ['forbidden'], ['claim_ack']],
    ['messageHook', (session) => sent(session, 'bad'), ['send_ack'], ['message_rejected']],
    ['rights', forced, ['claim_ack'], ['forbidden']],
  ])('%s', async (setting, outcome, own, common) => {
    expect(await outcome(`other:${setting}`)).toEqual(common);
    expect(await outcome(`${setting}:${setting}`)).toEqual(own);
  });

  it('historyAgeMs', async () => {
    expect([await sent('other:age', 1), await sent('historyAgeMs:1', 1)]).toEqual([['send_ack'], ['send_ack']]);
    await expect.poll(() => kept('historyAgeMs:1'), { timeout: 5_000 }).toBe(0);
    expect(await kept('other:age')).toBe(1);
  });

  it('graceMs, by which sessions become free', async () => {
    const [owner, watcher] = [await connect(), await connect()];
    for (const session of ['other:grace', 'graceMs:2']) {
      await owner.subscribe(session);
      await watcher.subscribe(session);
    }
    owner.terminate();
    await watcher.nextOwnership('other:grace', 'held');
    await watcher.nextOwnership('graceMs:2', 'free');
    expect(await subscribed('other:grace')).toMatchObject({ owner: false, state: 'held' });
  });

  it('presence', async () => {
    const client = await connect();
    // In that order: what would be told of the first comes before what is told of the second.
    for (const session of ['other:presence', 'presence:1']) await client.subscribe(session);
    await client.next('presence', (it) => it.session_id === 'presence:1');
    expect(client.all('presence').map((it) => it.session_id)).toEqual(['presence:1']);

    const other = await connect();
    await other.subscribe('presence:1');
    other.terminate();
    await client.next('presence', ({ event }) => event === 'left');
  });
});
