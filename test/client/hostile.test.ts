import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientError, isSubscribed, type Message, type Session } from '../../src/client/index.js';
import { client, connect, gateway, opened, owning, pass } from './client-harness.js';
import { OWNED, snapshot } from './fake-gateway.js';

const S = { session_id: 's:1' };

let uncaught: unknown[];
const onUncaught = (error: unknown) => void uncaught.push(error);

beforeEach(() => {
  uncaught = [];
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
});

afterEach(() => {
  process.off('uncaughtException', onUncaught);
  process.off('unhandledRejection', onUncaught);
  expect(uncaught).toEqual([]);
});

/** Frames as they should be, each with every field that it may have. */
const WHOLE: Record<string, Record<string, unknown>> = {
  subscribe_ack: { ...snapshot('s:1'), ...OWNED, recovered: true, principal: 'alice', until: 5 },
  claim_ack: { ...snapshot('s:1'), ...OWNED, type: 'claim_ack' },
  ownership: { type: 'ownership', ...S, state: 'held', owner_epoch: 6, rev: 2, reason: 'disconnected', until: 9 },
  ownership_lost: { type: 'ownership_lost', ...S, reason: 'forced', owner_epoch: 9 },
  message: { type: 'message', ...S, offset: 3, at: 7, owner_epoch: 5, principal: 'alice', bytes: 'AP8=' },
  signal: { type: 'signal', ...S, connection_id: 'c_9', principal: 'bob', bytes: 'AP8=' },
  presence: {
    type: 'presence',
    ...S,
    event: 'joined',
    rev: 4,
    count: 1,
    members: [{ principal: 'a', connections: 1 }],
  },
  lagged: { type: 'lagged', ...S, position: { epoch: 'e', offset: 3 } },
  reset: { type: 'reset', ...S, position: { epoch: 'e', offset: 3 }, recovered: false },
  login_renewed: { type: 'login_renewed', access_token: 'a', expires_at: 5 },
  reconnect: { type: 'reconnect', after_ms: 100, jitter_ms: 100, reason: 'drain' },
  error: { type: 'error', code: 'internal', message: '', retryable: true, retry_after_ms: 5, ...S },
  send_ack: { type: 'send_ack', ...S, id: '1', offset: 3, owner_epoch: 5 },
};

const junk = fc.oneof(
  fc.constantFrom(null, [], {}, '', 'x', -1, 0.5, 1e308, true, [null], '====', { epoch: 1 }, 2 ** 60),
  fc.jsonValue({ maxDepth: 2 }),
);

function replaced(frame: Record<string, unknown>, index: number, value: unknown, inside: boolean) {
  const names = Object.keys(frame).filter((name) => name !== 'type');
  const name = names[index % names.length] ?? '';
  const whole = frame[name];
  const isDeep = inside && typeof whole === 'object' && whole !== null && !Array.isArray(whole);
  return { ...frame, [name]: isDeep ? { ...whole, [Object.keys(whole)[0] ?? '']: value } : value };
}

/** A field of a good frame replaced, at either depth. */
const broken = fc
  .tuple(fc.constantFrom(...Object.values(WHOLE)), fc.nat(), junk, fc.boolean())
  .map((parts) => replaced(...parts));

const frames = fc.oneof(
  { weight: 4, arbitrary: broken.map((frame) => JSON.stringify(frame)) },
  { weight: 2, arbitrary: fc.constantFrom(...Object.values(WHOLE)).map((frame) => JSON.stringify(frame)) },
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.string(),
  fc.constantFrom('{"type":"__proto__"}', '{"type":"constructor"}', '{"type":1}', '{"type":"new.thing"}', '[{}]'),
);

function watched(session: Session) {
  const heard = { messages: [] as Message[], errors: [] as ClientError[] };
  session.on('message', (message) => heard.messages.push(message));
  client.on('error', (error) => heard.errors.push(error));
  return heard;
}

describe('a hostile gateway', () => {
  it('can send what it likes: the client stays whole and says so once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frames, { maxLength: 30 }), async (sent) => {
        const session = await owning();
        const { socket } = gateway;
        const { messages, errors } = watched(session);
        const pending = Promise.allSettled([session.send('a'), session.release(), session.signal('b')]);
        const before = socket.sent.length;
        for (const frame of sent) socket.receive(frame);
        const { state } = session;
        if (isSubscribed(state)) {
          const { ownership } = state;
          expect(['free', 'owned', 'held']).toContain(ownership.state);
          expect(Number.isSafeInteger(ownership.ownerEpoch) && Number.isSafeInteger(ownership.rev)).toBe(true);
        }
        expect(typeof session.position?.epoch).toBe('string');
        expect(Number.isSafeInteger(session.position?.offset)).toBe(true);
        for (const message of messages) {
          expect(Number.isSafeInteger(message.offset)).toBe(true);
          expect('data' in message || message.bytes instanceof Uint8Array).toBe(true);
        }
        expect(errors.filter(({ code }) => code === 'unexpected_answer').length).toBeLessThanOrEqual(1);
        // Each frame asks for one request at the most.
        expect(socket.sent.length - before).toBeLessThanOrEqual(sent.length);
        client.close();
        await pending;
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['a binary frame', new Uint8Array(3)],
    ['not JSON', '{"type":"pong"'],
    ['no position', JSON.stringify({ ...snapshot('s:1'), id: '1', position: undefined })],
    ['an offset that is text', JSON.stringify({ ...WHOLE['message'], offset: '3' })],
    ['an endless offset', JSON.stringify({ ...WHOLE['message'], offset: 3 }).replace('"offset":3', '"offset":1e999')],
    ['bytes that are none', JSON.stringify({ ...WHOLE['message'], bytes: '=A==' })],
    ['no payload', JSON.stringify({ ...WHOLE['message'], bytes: undefined })],
    ['a null member', JSON.stringify({ ...WHOLE['presence'], members: [null] })],
    ['a state there is not', JSON.stringify({ ...WHOLE['ownership'], state: 'lent' })],
    ['a code that is none', JSON.stringify({ ...WHOLE['error'], code: 7 })],
    ['deep nesting', `${'['.repeat(1e5)}${']'.repeat(1e5)}`],
  ])('has %s dropped, and told', async (_name, frame) => {
    const session = await owning();
    const { messages, errors } = watched(session);
    const { state, position } = session;
    const events: unknown[] = [];
    for (const event of ['state', 'presence', 'error', 'ownership'] as const) {
      session.on(event, (value) => events.push(value));
    }
    for (let times = 0; times < 3; times++) gateway.socket.receive(frame as string);
    expect(session.state).toBe(state);
    expect(session.position).toEqual(position);
    expect([...messages, ...events]).toEqual([]);
    expect(errors.map(({ code }) => code)).toEqual(['unexpected_answer']);
  });

  it('may be younger: types, fields and reasons that are not known disturb nothing', async () => {
    const session = await owning();
    const { errors } = watched(session);
    gateway.socket.receive({ type: 'new.thing', ...S, position: 'anything' });
    gateway.socket.receive({ ...WHOLE['message'], colour: { hue: 'red' } });
    gateway.socket.receive({ type: 'ownership_lost', ...S, reason: 'constructor', owner_epoch: 5 });
    expect(session.state).toMatchObject({ name: 'watching', ownership: { state: 'free' } });
    gateway.socket.receive({ type: 'unsubscribed', ...S, reason: 'bored' });
    expect(session.state).toEqual({ name: 'stopped', reason: 'removed' });
    expect(errors).toEqual([]);
  });

  it('that answers a subscription with another acknowledgement is not believed', async () => {
    const session = await opened();
    const { id } = gateway.socket.last('subscribe');
    for (const type of ['claim_ack', 'release_ack', 'unsubscribe_ack']) {
      gateway.socket.receive({ ...snapshot('s:1'), ...OWNED, type, id });
    }
    expect(session.state.name).toBe('connecting');
    await pass(10_000);
    expect(gateway.sockets.length).toBeGreaterThan(0);
    expect(client.connection.name).not.toBe('open');
  });

  it('may send a frame of 16 MB', async () => {
    const session = await owning();
    const { messages } = watched(session);
    const data = 'x'.repeat(16 * 2 ** 20);
    gateway.socket.receive({ type: 'message', ...S, offset: 1, at: 7, data });
    gateway.socket.receive(data);
    expect(messages.map((message) => (message.data as string).length)).toEqual([data.length]);
  });

  it('may refuse a thousand times at once: nothing is sent before the wait is over', async () => {
    const session = await owning();
    const sent = session.send('a').catch((error: ClientError) => error.code);
    const { id } = gateway.socket.last('send');
    const refusal = { type: 'error', code: 'rate_limited', message: '', retryable: true, ...S, id };
    for (let times = 0; times < 1_000; times++) gateway.socket.receive({ ...refusal, retry_after_ms: 1e12 });
    await pass(29_999);
    expect(gateway.socket.all('send')).toHaveLength(1);
    await pass(1);
    expect(await sent).toBe('timeout');
  });

  it.each([1e12, 2 ** 31])('asks to come back to a subscription in %d ms, which is not done at once', async (ms) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    await opened();
    for (let times = 0; times < 5; times++) {
      const { id } = gateway.socket.last('subscribe');
      gateway.socket.receive({
        type: 'error',
        code: 'internal',
        message: '',
        retryable: true,
        id,
        retry_after_ms: ms,
      });
      await pass(200);
    }
    expect(gateway.socket.all('subscribe')).toHaveLength(1);
    vi.restoreAllMocks();
  });

  it.each([-1e9, 1e12])('asks to renew the login again in %d ms, which is not done at once', async (ms) => {
    await opened();
    gateway.socket.receive({ type: 'login_expiring', expires_at: 1 });
    const refusal = { type: 'error', code: 'store_unavailable', message: '', retryable: true, retry_after_ms: ms };
    for (let turn = 0; turn < 500; turn++) {
      await pass(10);
      gateway.socket.receive({ ...refusal, id: gateway.socket.last('renew_login').id });
    }
    expect(gateway.socket.all('renew_login').length).toBeLessThan(20);
  });

  it.each([-1, 0, 1e-300])('asks for pings every %d ms, and gets at most one a second', async (intervalMs) => {
    connect().session('s:1');
    await pass();
    gateway.socket.welcome(intervalMs);
    for (let second = 0; second < 10; second++) {
      await pass(1_000);
      gateway.socket.receive({ type: 'pong' });
    }
    const pings = gateway.socket.all('ping').length;
    expect(pings).toBeGreaterThan(5);
    expect(pings).toBeLessThanOrEqual(10);
  });

  it('that is silent from the start costs an attempt in ten seconds', async () => {
    connect().session('s:1');
    await pass(300_000);
    expect(gateway.sockets.length).toBeGreaterThan(8);
    expect(gateway.sockets.length).toBeLessThan(31);
  });
});
