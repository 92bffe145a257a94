import { describe, expect, it } from 'vitest';
import type { ClientError, Message, Position, PresenceChange, Session, Signal } from '../../src/client/index.js';
import { plainSend } from '../../src/protocol/plain-send.js';
import { client, connect, gateway, opened, owning, pass, reopened } from './client-harness.js';
import { OWNED } from './fake-gateway.js';

const S = { session_id: 's:1' };
const position = (offset: number, epoch = 'e1'): Position => ({ epoch, offset });

function deliver(...offsets: number[]): void {
  for (const offset of offsets) gateway.socket.receive({ type: 'message', ...S, offset, at: 7, data: `m${offset}` });
}

function acknowledgeSend(index: number, offset: number): void {
  const { id } = gateway.socket.all('send').at(index) ?? {};
  gateway.socket.receive({ type: 'send_ack', ...S, id, offset, owner_epoch: 5 });
}

function refuseSend(code: string, more: object = {}): void {
  const { id } = gateway.socket.last('send');
  gateway.socket.receive({ type: 'error', code, message: 'no', retryable: false, ...S, id, ...more });
}

function listen(session: Session) {
  const heard = {
    messages: [] as Message[],
    resets: [] as Position[],
    lags: [] as Position[],
    signals: [] as Signal[],
    presence: [] as PresenceChange[],
  };
  session.on('message', (message) => heard.messages.push(message));
  session.on('reset', (at) => heard.resets.push(at));
  session.on('lagged', (at) => heard.lags.push(at));
  session.on('signal', (signal) => heard.signals.push(signal));
  session.on('presence', (change) => heard.presence.push(change));
  return heard;
}

const codeOf = (promise: Promise<unknown>) => promise.catch((error: ClientError) => error.code);

describe('messages', () => {
  it('of plain text are sent in the form that nodes read fastest', async () => {
    const session = await owning();
    void session.send('a token').catch(() => {});
    await pass(0);
    const text = JSON.stringify(gateway.socket.last('send'));
    expect(plainSend(text, text.length)).toMatchObject({ id: gateway.socket.last('send').id, payload: { bytes: 18 } });
  });

  it('arrive with what is known of them, bytes as bytes', async () => {
    const session = await opened();
    const { messages } = listen(session);
    gateway.socket.acknowledge();
    gateway.socket.receive({ type: 'message', ...S, offset: 1, at: 7, owner_epoch: 5, principal: 'alice', data: null });
    gateway.socket.receive({ type: 'message', ...S, offset: 1, at: 8, ephemeral: true, bytes: 'AP8=' });
    expect(messages).toEqual([
      { offset: 1, at: 7, ephemeral: false, gap: false, ownerEpoch: 5, principal: 'alice', data: null },
      { offset: 1, at: 8, ephemeral: true, gap: false, bytes: Uint8Array.of(0, 255) },
    ]);
  });

  it('go on after a lost connection where they had ended, each once', async () => {
    const session = await opened();
    const { messages } = listen(session);
    expect(gateway.socket.subscription()).not.toHaveProperty('since');
    gateway.socket.acknowledge({ position: position(40) });
    expect(session.position).toEqual(position(40));
    deliver(41, 42);
    gateway.socket.breakOff();
    deliver(43);
    await reopened();
    expect(gateway.socket.subscription().since).toEqual(position(42));
    // Nothing of a session comes before the answer to its subscription.
    deliver(99);
    gateway.socket.acknowledge({ position: position(42), recovered: true });
    deliver(42, 43, 44);
    expect(messages.map(({ offset }) => offset)).toEqual([41, 42, 43, 44]);
    expect(session.position).toEqual(position(44));
  });

  it.each(['oldest', position(7)] as const)('begin at %j when asked to', async (since) => {
    connect().session('s:1', { since });
    await pass();
    gateway.socket.welcome();
    await pass();
    expect(gateway.socket.subscription().since).toEqual(since);
    gateway.socket.acknowledge({ position: position(3), recovered: true });
    deliver(4);
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription().since).toEqual(position(4));
  });

  it('that are lost are told as a reset, at the subscription and later; a new epoch alone is none', async () => {
    const session = await opened();
    const { resets, messages } = listen(session);
    gateway.socket.acknowledge({ position: position(5) });
    gateway.socket.breakOff();
    await reopened();
    gateway.socket.acknowledge({ position: position(2, 'e2'), recovered: false });
    deliver(3);
    gateway.socket.receive({ type: 'reset', ...S, position: position(3, 'e3'), recovered: true });
    expect(session.position).toEqual(position(3, 'e3'));
    gateway.socket.receive({ type: 'reset', ...S, position: position(1, 'e4'), recovered: false });
    deliver(2);
    expect(resets).toEqual([position(2, 'e2'), position(1, 'e4')]);
    expect(messages.map(({ offset }) => offset)).toEqual([3, 2]);
    expect(session.position).toEqual(position(2, 'e4'));
  });

  it('come late where the gateway says so, and presence is told once a change', async () => {
    const session = await opened();
    const { lags, presence } = listen(session);
    gateway.socket.acknowledge();
    gateway.socket.receive({ type: 'lagged', ...S, position: position(9) });
    expect(lags).toEqual([position(9)]);
    const members = [{ principal: 'alice', connections: 1 }];
    gateway.socket.receive({ type: 'presence', ...S, event: 'present', rev: 4, count: 1, members });
    gateway.socket.receive({ type: 'presence', ...S, event: 'joined', rev: 4, count: 1 });
    gateway.socket.receive({ type: 'presence', ...S, event: 'left', rev: 5, count: 0 });
    expect(presence).toEqual([
      { event: 'present', count: 1, members },
      { event: 'left', count: 0 },
    ]);
    gateway.socket.breakOff();
    await reopened();
    gateway.socket.acknowledge();
    gateway.socket.receive({ type: 'presence', ...S, event: 'present', rev: 1, count: 2 });
    expect(presence).toHaveLength(3);
  });
});

describe('sending', () => {
  it('waits for the subscription, and then for no answer before the next', async () => {
    const session = await opened();
    const sent = [session.send({ n: 1 }), session.send(Uint8Array.of(1, 2))];
    expect(gateway.socket.all('send')).toEqual([]);
    gateway.socket.acknowledge(OWNED);
    expect(gateway.socket.all('send')).toMatchObject([{ data: { n: 1 } }, { bytes: 'AQI=' }]);
    acknowledgeSend(1, 12);
    acknowledgeSend(0, 11);
    expect(await Promise.all(sent)).toEqual([{ offset: 11 }, { offset: 12 }]);
  });

  it('sends what was not answered again on the next connection, as it was, in order', async () => {
    const session = await owning();
    const said = { word: 'c' };
    const sent = [session.send('a'), session.send('b', { idempotencyKey: 'mine' }), session.send(said)];
    said.word = 'changed';
    acknowledgeSend(0, 1);
    const before = gateway.socket.all('send').slice(1);
    gateway.socket.breakOff();
    const late = session.send('d');
    await reopened();
    expect(gateway.socket.all('send')).toEqual([]);
    gateway.socket.acknowledge(OWNED);
    const again = gateway.socket.all('send');
    expect(again.map(({ id: _id, ...message }) => message).slice(0, 2)).toEqual(
      before.map(({ id: _id, ...message }) => message),
    );
    expect(again).toMatchObject([{ idempotency_key: 'mine', data: 'b' }, { data: { word: 'c' } }, { data: 'd' }]);
    expect(new Set(again.map((message) => message.idempotency_key)).size).toBe(3);
    for (const [index] of again.entries()) acknowledgeSend(index, index + 2);
    expect(await Promise.all([...sent, late])).toEqual([1, 2, 3, 4].map((offset) => ({ offset })));
  });

  it('tries again what is refused for now, holds the rest back meanwhile, and passes other refusals on', async () => {
    const session = await owning();
    const sent = session.send('a');
    refuseSend('rate_limited', { retry_after_ms: 700 });
    const next = session.send('b');
    await pass(699);
    expect(gateway.socket.all('send')).toHaveLength(1);
    await pass(1);
    const [first, ...again] = gateway.socket.all('send');
    expect(again).toMatchObject([{ data: 'a', idempotency_key: first?.idempotency_key }]);
    acknowledgeSend(1, 1);
    expect(await sent).toEqual({ offset: 1 });
    expect(gateway.socket.last('send')).toMatchObject({ data: 'b' });
    refuseSend('not_owner');
    expect(await codeOf(next)).toBe('not_owner');
  });

  it('has 32 on their way at a time', async () => {
    const session = await owning();
    const sent = Array.from({ length: 40 }, (_, n) => session.send(n));
    expect(gateway.socket.all('send')).toHaveLength(32);
    for (let index = 0; index < 40; index++) acknowledgeSend(index, index + 1);
    expect(gateway.socket.all('send').map((message) => 'data' in message && message.data)).toEqual([...sent.keys()]);
    expect((await Promise.all(sent)).at(-1)).toEqual({ offset: 40 });
  });

  it('has one on its way after a refusal, and slowly more again', async () => {
    const session = await owning();
    const first = session.send('first');
    refuseSend('rate_limited');
    const sent = [first, ...Array.from({ length: 20 }, (_, n) => session.send(n))];
    await pass(250);
    const counts: number[] = [];
    for (let index = 1; index <= 21; index++) {
      counts.push(gateway.socket.all('send').length - index);
      acknowledgeSend(index, index);
    }
    // How many were on their way before each answer.
    expect(counts).toEqual([...Array(8).fill(1), ...Array(8).fill(2), 3, 3, 3, 2, 1]);
    await Promise.all(sent);
  });

  it('takes a refusal that names no session', async () => {
    const session = await owning();
    const sent = session.send('a');
    const { id } = gateway.socket.last('send');
    gateway.socket.receive({ type: 'error', code: 'message_too_large', message: '', retryable: false, id });
    expect(await codeOf(sent)).toBe('message_too_large');
  });

  it('is bounded in number and in time, and ends with the session', async () => {
    const session = await opened({ operationTimeoutMs: 3_000 });
    const results = Array.from({ length: 257 }, () => codeOf(session.send('x')));
    await pass(3_000);
    expect(await Promise.all(results)).toEqual([...Array.from({ length: 256 }, () => 'timeout'), 'queue_full']);
    const last = codeOf(session.send('y'));
    client.close();
    expect(await last).toBe('stopped');
    expect(await codeOf(session.send('z'))).toBe('stopped');
  });

  it('keeps back what the gateway would close the connection for, and nothing else', async () => {
    const session = await owning();
    const sends = ['x'.repeat(66_000), '€'.repeat(22_000), 'x'.repeat(65_000), 'small'].map((text) =>
      session.send(text),
    );
    const codes = sends.slice(0, 2).map(codeOf);
    expect(gateway.socket.all('send')).toMatchObject([
      { data: expect.stringMatching(/^x{65000}$/) },
      { data: 'small' },
    ]);
    expect(await Promise.all(codes)).toEqual(['message_too_large', 'message_too_large']);
    expect(await codeOf(session.signal('x'.repeat(66_000)))).toBe('message_too_large');
    acknowledgeSend(0, 1);
    acknowledgeSend(1, 2);
    expect(await Promise.all(sends.slice(2))).toEqual([{ offset: 1 }, { offset: 2 }]);
  });

  it('refuses at once what JSON cannot say', async () => {
    const session = await owning();
    for (const data of [undefined, 1n, () => 0]) await expect(session.send(data)).rejects.toThrow(TypeError);
    expect(gateway.socket.all('send')).toEqual([]);
  });
});

describe('signals', () => {
  it('reach the owner', async () => {
    const session = await owning();
    const { signals } = listen(session);
    gateway.socket.receive({ type: 'signal', ...S, connection_id: 'c_9', principal: 'bob', data: 'stop' });
    expect(signals).toEqual([{ connectionId: 'c_9', principal: 'bob', data: 'stop' }]);
  });

  it('are sent at most once', async () => {
    const session = await opened();
    gateway.socket.acknowledge();
    const heard = session.signal('stop');
    const { id } = gateway.socket.last('signal');
    gateway.socket.receive({ type: 'signal_ack', ...S, id, owner: true });
    expect(await heard).toEqual({ owner: true });
    const lost = codeOf(session.signal('stop'));
    gateway.socket.breakOff();
    expect(await lost).toBe('timeout');
    await reopened();
    gateway.socket.acknowledge();
    expect(gateway.socket.all('signal')).toEqual([]);
  });
});
