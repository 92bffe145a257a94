/** What a gateway says to raw frames, word for word: the fake one is what the real one is. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GatewayUnderTest, startFake, startReal } from './client-gateway-harness.js';
import { Talk } from './client-gateway-talk.js';

/** Long enough for leases that a busy machine renews late. */
const GRACE_MS = 10_000;
const SHORT_GRACE_MS = 600;
const ATTEMPT = 'A'.repeat(22);
const OTHER = 'B'.repeat(22);

type Script = (talk: Talk, gateway: GatewayUnderTest) => Promise<void>;

const subscribe = (session_id: string, more: object = {}) => ({ type: 'subscribe', session_id, ...more });
const tokenOf = (answer: Record<string, unknown>) => String(answer['reconnect_token']);

const graceEnds: Script = async (talk) => {
  await talk.connect('a', 'b', 'c');
  const token = tokenOf(await talk.say('a', subscribe('f:6')));
  await talk.say('b', subscribe('f:6'));
  await talk.drop('a', 'b');
  await talk.hears('b', 'expired');
  await talk.say('b', { type: 'claim', session_id: 'f:6' });
  await talk.say('c', subscribe('f:6', { reconnect_token: token }));
};

const SCRIPTS: Record<string, Script> = {
  async 'claim, watch, release, claim'(talk) {
    await talk.connect('a', 'b');
    await talk.say('a', subscribe('f:1'));
    await talk.say('a', subscribe('f:1'));
    await talk.say('b', subscribe('f:1'));
    await talk.say('b', { type: 'claim', session_id: 'f:1' });
    await talk.say('b', { type: 'release', session_id: 'f:1' });
    await talk.say('a', { type: 'claim', session_id: 'f:1' });
    await talk.say('a', { type: 'release', session_id: 'f:1' });
    await talk.say('b', { type: 'claim', session_id: 'f:1', attempt_id: ATTEMPT });
    await talk.say('b', { type: 'claim', session_id: 'f:1', attempt_id: ATTEMPT });
    await talk.say('a', { type: 'claim', session_id: 'f:1', force: true });
    await talk.say('a', { type: 'unsubscribe', session_id: 'f:1' });
    await talk.say('a', { type: 'unsubscribe', session_id: 'f:1' });
    await talk.say('a', { type: 'claim', session_id: 'f:1' });
  },

  async 'a batch, and sessions that are watched only'(talk) {
    await talk.connect('a', 'b');
    await talk.say('a', { type: 'subscribe', sessions: ['f:2', { session_id: 'f:3', claim: 'never' }] });
    await talk.say('b', {
      type: 'subscribe',
      sessions: [{ session_id: 'f:3' }, { session_id: 'f:2', claim: 'never' }],
    });
    await talk.close('a', 'b');
    await talk.say('b', { type: 'claim', session_id: 'f:2' });
    await talk.say('b', { type: 'claim', session_id: 'f:2', force: true });
  },

  async 'a token: used once, by one attempt, over a connection that still looks alive'(talk) {
    await talk.connect('a', 'b', 'c', 'd', 'e');
    const first = tokenOf(await talk.say('a', subscribe('f:4', { attempt_id: ATTEMPT })));
    await talk.say('b', subscribe('f:4', { reconnect_token: 'not one' }));
    const taken = { reconnect_token: first, attempt_id: OTHER };
    const second = tokenOf(await talk.say('b', subscribe('f:4', taken)));
    await talk.say('c', subscribe('f:4', { reconnect_token: first }));
    // The reply to b was lost: the same attempt, elsewhere.
    await talk.say('c', subscribe('f:4', taken));
    await talk.drop('c', 'b');
    await talk.say('d', subscribe('f:4', { reconnect_token: second, claim: 'never' }));
    await talk.say('d', { type: 'release', session_id: 'f:4' });
    await talk.say('e', subscribe('f:4', { reconnect_token: second, claim: 'never' }));
    await talk.say('e', { type: 'unsubscribe', session_id: 'f:4' });
    await talk.say('e', subscribe('f:4', { reconnect_token: first }));
  },

  async 'a first claim whose reply was lost'(talk) {
    await talk.connect('a', 'b', 'c', 'd');
    await talk.say('a', subscribe('f:5', { attempt_id: ATTEMPT }));
    await talk.say('d', subscribe('f:5', { claim: 'never' }));
    await talk.drop('a', 'd');
    await talk.say('c', subscribe('f:5', { attempt_id: OTHER }));
    await talk.say('b', subscribe('f:5', { attempt_id: ATTEMPT }));
    await talk.say('c', { type: 'claim', session_id: 'f:5', attempt_id: ATTEMPT });
  },

  async 'sends, signals and their refusals'(talk) {
    await talk.connect('a', 'b');
    await talk.say('a', { type: 'send', session_id: 'f:7', data: 0 });
    await talk.say('a', subscribe('f:7'));
    await talk.say('b', subscribe('f:7'));
    await talk.say('a', { type: 'send', session_id: 'f:7', data: { text: 'one' }, idempotency_key: 'k' });
    await talk.say('a', { type: 'send', session_id: 'f:7', data: { text: 'one' }, idempotency_key: 'k' });
    await talk.say('a', { type: 'send', session_id: 'f:7', data: { text: 'two' }, idempotency_key: 'k' });
    await talk.say('a', { type: 'send', session_id: 'f:7', bytes: 'aGk=' });
    await talk.say('b', { type: 'send', session_id: 'f:7', data: 'mine' });
    await talk.say('b', { type: 'send', session_id: 'f:7', data: 'mine', idempotency_key: 'other' });
    await talk.say('b', { type: 'signal', session_id: 'f:7', data: 'stop' });
    await talk.say('a', { type: 'release', session_id: 'f:7' });
    await talk.say('b', { type: 'signal', session_id: 'f:7', data: 'stop' });
    await talk.say('a', { type: 'send', session_id: 'f:7', data: { text: 'one' }, idempotency_key: 'k' });
    await talk.say('a', { type: 'send', session_id: 'f:7', data: 'no longer' });
  },

  async 'history since a position'(talk, gateway) {
    await talk.connect('a', 'b');
    const { position } = await talk.say('a', subscribe('f:8'));
    for (const n of [1, 2, 3]) await gateway.publish('f:8', n);
    await talk.settle('published');
    const { epoch } = position as { epoch: string };
    const again = async (since: unknown) => {
      await talk.say('b', subscribe('f:8', { since }));
      await talk.say('b', { type: 'unsubscribe', session_id: 'f:8' });
    };
    await again('oldest');
    await again({ epoch, offset: 1 });
    await again({ epoch, offset: 3 });
    await again({ epoch, offset: 4 });
    await again({ epoch: 'another', offset: 1 });
    await again({ epoch, offset: -1 });
  },

  async 'an owner that the application removes'(talk, gateway) {
    await talk.connect('a', 'b');
    await talk.say('a', subscribe('f:9'));
    await talk.say('b', subscribe('f:9'));
    await gateway.removeOwner('f:9');
    await talk.settle('removed');
  },

  async 'what is no request'(talk) {
    await talk.connect('a');
    await talk.say('a', { type: 'no_such_type' });
    await talk.say('a', { type: 'subscribe' });
    await talk.say('a', { type: 'subscribe', session_id: 'f:10', claim: 'always' });
    await talk.say('a', { type: 'claim', session_id: 'f:10' });
    await talk.say('a', { type: 'renew_login' });
    await talk.repeat('a', { type: 'subscribe' }, 20);
  },
};

async function perform(script: Script, gateway: GatewayUnderTest): Promise<readonly string[]> {
  const talk = new Talk(gateway);
  await script(talk, gateway).finally(() => talk.end());
  return talk.transcript;
}

async function bothSay(script: Script, [real, fake]: readonly GatewayUnderTest[]): Promise<void> {
  if (real === undefined || fake === undefined) throw new Error('there must be two');
  const [expected, given] = await Promise.all([perform(script, real), perform(script, fake)]);
  expect(expected.length).toBeGreaterThan(3);
  expect(given).toEqual(expected);
}

describe('the fake gateway says what the real one says', () => {
  const start = (graceMs: number) =>
    Promise.all([startReal, startFake].map((begin) => begin({ graceMs, accessTokenMs: 300_000 })));
  let gateways: GatewayUnderTest[];

  beforeAll(async () => {
    gateways = await start(GRACE_MS);
  });

  afterAll(() => Promise.all(gateways.map((gateway) => gateway.stop())));

  it.concurrent.each(Object.entries(SCRIPTS))('%s', (_, script) => bothSay(script, gateways));

  it.concurrent('a grace period that ends', async () => {
    const short = await start(SHORT_GRACE_MS);
    await bothSay(graceEnds, short).finally(() => Promise.all(short.map((gateway) => gateway.stop())));
  });
});
