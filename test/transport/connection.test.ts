import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { PROTOCOL_MINOR } from '../../src/protocol/messages.js';
import { ALL_RIGHTS } from '../../src/session/rights.js';
import { textFrame } from '../../src/transport/frame.js';
import {
  Client,
  clientFrame,
  connected,
  LIMITS,
  newGate,
  rawSocket,
  startGateway,
  until,
  upgradeHead,
} from './gateway.js';

describe('requests', () => {
  it('are preceded by welcome', async () => {
    const { port } = await startGateway();
    expect(await new Client(port).next()).toEqual({
      type: 'welcome',
      connection_id: expect.stringMatching(/^c_[A-Za-z0-9_-]{20}$/),
      node: 'n1',
      principal: expect.stringMatching(/^anon:/),
      ping_interval_ms: 25_000,
      protocol_minor: PROTOCOL_MINOR,
      features: ['messages'],
      limits: { max_payload_bytes: 4096, max_subscriptions: 8, messages_per_second: 1000 },
    });
  });

  it('are answered with their id', async () => {
    const { port, sessions } = await startGateway();
    const client = await connected(port);
    const session_id = 's';
    expect(await client.ask({ type: 'ping', id: '1' })).toEqual({ type: 'pong', id: '1' });
    expect(await client.ask({ type: 'subscribe', id: '2', session_id })).toMatchObject({
      type: 'subscribe_ack',
      id: '2',
    });
    expect(await client.ask({ type: 'claim', id: '3', session_id })).toMatchObject({ type: 'claim_ack', id: '3' });
    expect(await client.ask({ type: 'release', id: '4', session_id })).toEqual({
      type: 'release_ack',
      id: '4',
      session_id,
    });
    expect(await client.ask({ type: 'unsubscribe', id: '5', session_id })).toEqual({
      type: 'unsubscribe_ack',
      id: '5',
      session_id,
    });
    expect(await client.ask({ type: 'unsubscribe', id: '6', session_id })).toEqual({
      type: 'error',
      code: 'not_subscribed',
      message: 'subscribe first',
      retryable: false,
      id: '6',
      session_id,
    });
    expect(sessions.calls).toEqual(['subscribe s', 'claim s', 'release s', 'unsubscribe s', 'unsubscribe s']);
  });

  it('that fail with a known error say when to come back', async () => {
    const { port, sessions } = await startGateway();
    sessions.error = new HoldfastError('session_busy', 'busy', { retryAfterMs: 500 });
    const client = await connected(port);
    expect(await client.ask({ type: 'claim', session_id: 's' })).toMatchObject({
      code: 'session_busy',
      retryable: true,
      retry_after_ms: 500,
      session_id: 's',
    });
  });

  it('that fail unexpectedly tell nothing of it', async () => {
    const { port, sessions } = await startGateway();
    sessions.error = new Error('secret details');
    const answer = await (await connected(port)).ask({ type: 'claim', session_id: 's' });
    expect(answer).toMatchObject({ type: 'error', code: 'internal', retryable: true });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  it('of one session keep their order; others and pings do not wait', async () => {
    const { port, sessions } = await startGateway();
    const gate = newGate();
    sessions.gates.set('slow', gate.promise);
    const client = await connected(port);
    client.send({ type: 'subscribe', id: '1', session_id: 'slow' });
    client.send({ type: 'claim', id: '2', session_id: 'slow' });
    client.send({ type: 'claim', id: '3', session_id: 'fast' });
    client.send({ type: 'ping', id: '4' });
    const ids = [await client.next(), await client.next()].map((message) => 'id' in message && message.id);
    expect(new Set(ids)).toEqual(new Set(['3', '4']));
    gate.open();
    expect(await client.next()).toMatchObject({ id: '1' });
    expect(await client.next()).toMatchObject({ id: '2' });
    expect(sessions.calls).toEqual(['claim fast', 'subscribe slow', 'claim slow']);
  });

  it('that wait behind others are dropped when the connection closes', async () => {
    const { port, sessions, reports } = await startGateway();
    const gate = newGate();
    sessions.gates.set('slow', gate.promise);
    const client = await connected(port);
    client.send({ type: 'subscribe', session_id: 'slow' });
    client.send({ type: 'claim', session_id: 'slow' });
    await client.ask({ type: 'ping' });
    client.socket.close();
    await until(() => reports.open === 0);
    gate.open();
    await until(() => sessions.calls.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sessions.calls).toEqual(['subscribe slow']);
    expect(sessions.departures).toMatchObject([{ release: false }]);
  });
});

describe('limits', () => {
  it('on subscriptions', async () => {
    const { port } = await startGateway({ limits: { maxSubscriptions: 2 } });
    const client = await connected(port);
    client.send({ type: 'subscribe', id: '1', sessions: ['a', 'b', 'c'] });
    const answers = [await client.next(), await client.next(), await client.next()];
    expect(answers.filter(({ type }) => type === 'subscribe_ack')).toHaveLength(2);
    expect(answers.find(({ type }) => type === 'error')).toMatchObject({
      code: 'too_many_subscriptions',
      id: '1',
      session_id: 'c',
    });
  });

  it('on pending requests', async () => {
    const { port, sessions } = await startGateway({ limits: { maxPendingRequests: 2 } });
    const gate = newGate();
    sessions.gates.set('s', gate.promise);
    const client = await connected(port);
    for (const id of ['1', '2', '3']) client.send({ type: 'claim', id, session_id: 's' });
    expect(await client.next()).toMatchObject({ code: 'rate_limited', id: '3', retry_after_ms: 100 });
    gate.open();
    expect(await client.next()).toMatchObject({ type: 'claim_ack', id: '1' });
    expect(await client.next()).toMatchObject({ type: 'claim_ack', id: '2' });
    expect(await client.ask({ type: 'claim', id: '4', session_id: 's' })).toMatchObject({ type: 'claim_ack', id: '4' });
  });

  it('on frames: over the burst they are refused, and after the wait accepted', async () => {
    const { port, reports } = await startGateway({ limits: { frames: { perSecond: 20, burst: 3 } } });
    const client = await connected(port);
    for (let i = 0; i < 5; i += 1) client.send({ type: 'ping', id: String(i) });
    const answers = [];
    for (let i = 0; i < 5; i += 1) answers.push(await client.next());
    expect(answers.map(({ type }) => type)).toEqual(['pong', 'pong', 'pong', 'error', 'error']);
    const last = answers[4];
    expect(last).toMatchObject({ code: 'rate_limited', retryable: true, id: '4' });
    expect(reports.counts.get('rate_limited')).toBe(2);
    const waitMs = last?.type === 'error' ? (last.retry_after_ms ?? 0) : 0;
    expect(waitMs).toBeGreaterThan(50);
    await new Promise((resolve) => setTimeout(resolve, waitMs + 60));
    expect(await client.ask({ type: 'ping' })).toEqual({ type: 'pong' });
  });

  it('on who ignores that: 4101', async () => {
    const { port } = await startGateway({ limits: { frames: { perSecond: 10, burst: 5 } } });
    const client = await connected(port);
    for (let i = 0; i < 40; i += 1) client.send({ type: 'ping' });
    expect(await client.closed()).toEqual({ code: 4101, reason: 'rate_limited' });
  });

  it('on batches, which cost one frame but their own burst', async () => {
    const limits = { frames: { perSecond: 1, burst: 2 }, batch: { perSecond: 1, burst: 4 } };
    const { port } = await startGateway({ limits });
    const client = await connected(port);
    client.send({ type: 'subscribe', sessions: ['a', 'b', 'c'] });
    for (let i = 0; i < 3; i += 1) expect(await client.next()).toMatchObject({ type: 'subscribe_ack' });
    expect(await client.ask({ type: 'subscribe', id: '2', sessions: ['d', 'e'] })).toMatchObject({
      code: 'rate_limited',
      id: '2',
      retry_after_ms: expect.toSatisfy((ms: number) => ms > 500 && ms <= 1000),
    });
  });

  it('on bad frames: 20 in a row, with a good one the count starts anew', async () => {
    const { port } = await startGateway();
    const client = await connected(port);
    const bad = ['{', '[]', { type: 'claim' }, Buffer.from([1, 2])];
    for (let i = 0; i < 19; i += 1) {
      expect(await client.ask(bad[i % bad.length])).toMatchObject({
        code: expect.stringMatching(/malformed_frame|invalid_field/),
      });
    }
    expect(await client.ask({ type: 'later', id: 'x' })).toMatchObject({ code: 'unsupported_type', id: 'x' });
    expect(await client.ask({ type: 'ping' })).toEqual({ type: 'pong' });
    for (let i = 0; i < 19; i += 1) await client.ask('{');
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    client.send('{');
    expect(await client.next()).toMatchObject({ type: 'error', code: 'malformed_frame' });
    expect(await client.closed()).toEqual({ code: 4004, reason: 'protocol_violation' });
  });

  it('on payloads: 1009', async () => {
    const { port, sessions } = await startGateway();
    const client = await connected(port);
    client.send('x'.repeat(LIMITS.maxPayloadBytes + 1));
    expect(await client.closed()).toMatchObject({ code: 1009 });
    await until(() => sessions.departures.length === 1);
  });

  it('on unsent bytes: a slow consumer is closed with 4103 and others are not', async () => {
    const { port, sessions, reports } = await startGateway();
    const slow = await connected(port);
    const quick = await connected(port);
    await slow.ask({ type: 'subscribe', session_id: 'slow' });
    await quick.ask({ type: 'subscribe', session_id: 'quick' });
    slow.socket.pause();
    const frame = textFrame(JSON.stringify({ type: 'pong', id: 'x'.repeat(16_000) }));
    const subscriber = sessions.subscribers.get('slow');
    for (let i = 0; i < 2000 && subscriber?.open; i += 1) {
      subscriber.sendFrames(frame);
      sessions.subscribers.get('quick')?.send({ type: 'pong', id: String(i) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(subscriber?.open).toBe(false);
    expect(reports.counts.get('slow_consumer')).toBe(1);
    expect(sessions.departures).toEqual([{ id: subscriber?.id, release: false }]);
    slow.socket.resume();
    expect(await slow.closed()).toEqual({ code: 4103, reason: 'slow_consumer' });
    expect(await quick.next()).toEqual({ type: 'pong', id: '0' });
  });
});

describe('the heartbeat', () => {
  const limits = { pingIntervalMs: 120, pongTimeoutMs: 80 };

  it('closes a silent connection with 4104', async () => {
    const { port, sessions, reports } = await startGateway({ limits });
    const client = await connected(port, { autoPong: false });
    expect(await client.closed()).toEqual({ code: 4104, reason: 'no_pong' });
    expect(sessions.departures).toMatchObject([{ release: false }]);
    await until(() => reports.counts.get('closed:4104') === 1);
  });

  it('is answered by a pong', async () => {
    const { port, reports } = await startGateway({ limits });
    const client = await connected(port);
    let pings = 0;
    client.socket.on('ping', () => (pings += 1));
    await until(() => pings >= 4);
    expect(reports.open).toBe(1);
  });

  it('is answered by any byte, even of a frame that is not complete', async () => {
    const { port, reports, sessions } = await startGateway({ limits });
    const socket = await rawSocket(port);
    socket.write(upgradeHead());
    await once(socket, 'data');
    const frame = clientFrame(1, Buffer.from(JSON.stringify({ type: 'ping', id: 'x'.repeat(80) })));
    for (const byte of frame.subarray(0, 40)) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    expect(reports.open).toBe(1);
    await until(() => sessions.departures.length === 1);
  });
});

describe('the frames of a raw client', () => {
  it('may be fragmented, with control frames between', async () => {
    const { port } = await startGateway();
    const socket = await rawSocket(port);
    socket.write(upgradeHead());
    await once(socket, 'data');
    const text = Buffer.from('{"type":"ping","id":"é"}');
    const at = text.indexOf(0xc3) + 1;
    socket.write(clientFrame(1, text.subarray(0, at), false));
    socket.write(clientFrame(9, Buffer.from('hi')));
    socket.write(clientFrame(0, text.subarray(at)));
    let received = '';
    socket.on('data', (data) => (received += String(data)));
    await until(() => received.includes('{"type":"pong","id":"é"}'));
  });

  it.each([
    [
      'a fragmented payload that is too long',
      1009,
      [1, 0, 0].map((opcode) => clientFrame(opcode, Buffer.alloc(2000), false)),
    ],
    [
      'too many fragments',
      1008,
      Array.from({ length: 200 }, (_, i) => clientFrame(i === 0 ? 1 : 0, Buffer.alloc(1), false)),
    ],
    ['invalid UTF-8', 1007, [clientFrame(1, Buffer.from([0xff, 0xfe]))]],
    ['a reserved opcode', 1002, [clientFrame(3, Buffer.alloc(1))]],
    ['an unmasked frame', 1002, [Buffer.from([0x81, 0x01, 0x78])]],
  ])('end the connection alone: %s', async (_, code, frames) => {
    const { port, sessions } = await startGateway();
    const other = await connected(port);
    const socket = await rawSocket(port);
    socket.write(upgradeHead());
    await once(socket, 'data');
    let received = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => (received = Buffer.concat([received, data])));
    for (const frame of frames) socket.write(frame);
    const close = Buffer.from([0x88, 0x02, code >> 8, code & 0xff]);
    await until(() => received.includes(close));
    await until(() => sessions.departures.length === 1);
    expect(await other.ask({ type: 'ping' })).toEqual({ type: 'pong' });
  });
});

it('random bytes end connections and nothing else', async () => {
  const { port, sessions } = await startGateway();
  const other = await connected(port);
  for (let i = 0; i < 100; i += 1) {
    const socket = await rawSocket(port);
    socket.resume();
    socket.end(Buffer.concat([Buffer.from(i % 4 === 0 ? '' : upgradeHead()), randomBytes(1 + i * 7)]));
  }
  await until(() => sessions.departures.length >= 75, 15_000);
  expect(await other.ask({ type: 'ping' })).toEqual({ type: 'pong' });
});

describe('closing', () => {
  it.each([
    ['revoked', 4001, true],
    ['login_ended', 4002, true],
    ['token_reuse', 4003, true],
    ['dependency_down', 4102, false],
  ] as const)('for %s says %i; its leases are freed: %s', async (reason, code, release) => {
    const { port, sessions, server } = await startGateway();
    const client = await connected(port);
    const [connection] = server.connections();
    connection?.close(reason);
    connection?.send({ type: 'pong' });
    expect(await client.closed()).toEqual({ code, reason });
    expect(sessions.departures).toEqual([{ id: connection?.id, release }]);
  });

  it.each([
    [1000, false],
    [4001, true],
    [4002, true],
    [4003, true],
    [4004, false],
  ])('by the client with %i frees its leases: %s', async (code, release) => {
    const { port, sessions, server } = await startGateway();
    const client = await connected(port);
    const [connection] = server.connections();
    client.socket.close(code);
    await until(() => sessions.departures.length > 0);
    expect(sessions.departures).toEqual([{ id: connection?.id, release }]);
  });

  it('comes behind all that was sent before', async () => {
    const { port, server } = await startGateway();
    const client = await connected(port);
    const [connection] = server.connections();
    connection?.hint(100, 400, 'drain');
    await connection?.leave(0);
    expect(await client.next()).toMatchObject({ type: 'reconnect' });
    expect(await client.closed()).toMatchObject({ code: 1012 });
  });

  it('for a restart holds the leases first, and does not wait for ever', async () => {
    const { port, sessions, server } = await startGateway();
    const client = await connected(port);
    const [connection] = server.connections();
    const held = newGate();
    sessions.departure = held.promise;
    const left = connection?.leave(45_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    expect(sessions.departures).toEqual([{ id: connection?.id, release: false, holdMs: 45_000 }]);
    held.open();
    await left;
    expect(await client.closed()).toEqual({ code: 1012, reason: 'restart' });

    const second = await connected(port);
    sessions.departure = new Promise(() => {});
    for (const open of server.connections()) void open.leave(45_000);
    expect(await second.closed()).toMatchObject({ code: 1012 });
  });

  it('of the server leaves nothing open', async () => {
    const { port, server, sessions } = await startGateway();
    const client = await connected(port);
    await server.close();
    expect(await client.closed()).toMatchObject({ code: 1006 });
    await until(() => server.connections().size === 0);
    expect(sessions.departures).toHaveLength(1);
  });

  it('of the server does not wait for refused clients that linger', async () => {
    const authentication = { anonymous: false, rightsFor: () => ALL_RIGHTS };
    const { port, server, reports } = await startGateway({ authentication });
    const socket = await rawSocket(port);
    socket.write(upgradeHead());
    await until(() => reports.counts.get('refused:credential') === 1);
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
