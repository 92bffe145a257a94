import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { type Client, connected, newGate, startGateway, until } from './gateway.js';

const send = (id: number, more: object = {}) => ({ type: 'send', id: String(id), session_id: 's', data: id, ...more });

async function answers(client: Client, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const message = await client.next();
    ids.push(`${message.type} ${'id' in message ? message.id : ''}`);
  }
  return ids;
}

describe('sends', () => {
  it('reach the domain as they are, and are answered by it', async () => {
    const { port, sessions } = await startGateway();
    const client = await connected(port);
    expect(await client.ask(send(1, { data: { __proto__: null, a: [1] }, idempotency_key: 'k' }))).toEqual({
      type: 'send_ack',
      id: '1',
      session_id: 's',
      offset: 1,
      owner_epoch: 1,
    });
    client.send('{"type":"send","session_id":"s","data":{"__proto__":{"x":1},"y":"\\ud800"}}');
    await client.next();
    await client.ask({ type: 'send', id: '2', session_id: 's', data: 'ü🦔' });
    expect(await client.ask({ type: 'signal', session_id: 's', bytes: 'AAAA' })).toMatchObject({ type: 'signal_ack' });
    expect(sessions.sent).toEqual([
      { type: 'send', id: '1', session_id: 's', idempotency_key: 'k', payload: { text: ',"data":{"a":[1]}}' } },
      { type: 'send', session_id: 's', payload: { text: ',"data":{"__proto__":{"x":1},"y":"\\ud800"}}' } },
      { type: 'send', id: '2', session_id: 's', payload: { text: ',"data":"ü🦔"}', bytes: 17 } },
      { type: 'signal', session_id: 's', bytes: 'AAAA' },
    ]);
  });

  it('that fail are answered with their session and id, and the next goes on', async () => {
    const { port, sessions } = await startGateway();
    const client = await connected(port);
    sessions.error = new HoldfastError('not_owner', 'another connection owns it');
    expect(await client.ask(send(1))).toMatchObject({ type: 'error', code: 'not_owner', id: '1', session_id: 's' });
    sessions.error = undefined;
    expect(await client.ask(send(2))).toMatchObject({ type: 'send_ack', id: '2' });
  });

  it('do not wait for one another, but for what came before, and what comes later waits for them', async () => {
    const { port, sessions } = await startGateway();
    const client = await connected(port);
    const claimed = newGate();
    sessions.gates.set('s', claimed.promise);
    client.send({ type: 'claim', id: '0', session_id: 's' });
    for (const id of [1, 2, 3]) client.send(send(id));
    await client.ask({ type: 'ping' });
    expect(sessions.sent).toEqual([]);

    const stored = newGate();
    sessions.gates.set('s', stored.promise);
    claimed.open();
    expect(await client.next()).toMatchObject({ type: 'claim_ack' });
    await client.ask({ type: 'ping' });
    expect(sessions.sent.map(({ id }) => id)).toEqual(['1', '2', '3']);

    // Nothing holds these but the sends before them.
    sessions.gates.delete('s');
    client.send({ type: 'release', id: '4', session_id: 's' });
    client.send(send(5));
    await client.ask({ type: 'ping' });
    expect([sessions.sent.length, sessions.calls]).toEqual([3, ['claim s']]);

    stored.open();
    expect(await answers(client, 5)).toEqual(['send_ack 1', 'send_ack 2', 'send_ack 3', 'release_ack 4', 'send_ack 5']);
    expect(sessions.calls).toEqual(['claim s', 'send s', 'send s', 'send s', 'release s', 'send s']);
  });

  it('are pending requests, of which there are only so many', async () => {
    const { port, sessions } = await startGateway({ limits: { maxPendingRequests: 3 } });
    const client = await connected(port);
    const gate = newGate();
    sessions.gates.set('s', gate.promise);
    client.send({ type: 'claim', id: '0', session_id: 't' });
    expect(await answers(client, 1)).toEqual(['claim_ack 0']);
    for (const id of [1, 2, 3, 4]) client.send(send(id));
    expect(await client.next()).toMatchObject({ type: 'error', code: 'rate_limited', id: '4', retry_after_ms: 100 });
    gate.open();
    expect(await answers(client, 3)).toEqual(['send_ack 1', 'send_ack 2', 'send_ack 3']);
    expect(await client.ask(send(5))).toMatchObject({ type: 'send_ack', id: '5' });
  });

  it('wait as one large frame, or as 1 MiB of a connection and 32 MiB of all', async () => {
    const { port, sessions } = await startGateway({ limits: { maxPayloadBytes: 2_000_000, maxPendingRequests: 256 } });
    const gate = newGate();
    sessions.gates.set('s', gate.promise);
    const text = (bytes: number) => ({ data: 'x'.repeat(bytes) });
    const large = await connected(port);
    large.send(send(1, text(1_500_000)));
    large.send(send(2, text(1)));
    expect(await large.next()).toMatchObject({ code: 'rate_limited', id: '2', retry_after_ms: 100 });
    // What carries no message is not measured.
    expect(await large.ask({ type: 'claim', id: '3', session_id: 't' })).toMatchObject({ type: 'claim_ack' });
    const others = await Promise.all(Array.from({ length: 33 }, () => connected(port)));
    for (const [index, client] of others.entries()) {
      for (const part of [1, 2]) client.send(send(part, text(500_000)));
      const first = await client.ask({ type: 'ping' });
      expect(first, `${index}`).toMatchObject(index < 32 ? { type: 'pong' } : { code: 'rate_limited', id: '1' });
    }
    gate.open();
    expect(await answers(large, 1)).toEqual(['send_ack 1']);
    for (const client of others.slice(0, 32)) expect(await answers(client, 2)).toEqual(['send_ack 1', 'send_ack 2']);
    expect(await large.ask(send(4, text(900_000)))).toMatchObject({ type: 'send_ack', id: '4' });
  });

  it('are measured as the bytes that came', async () => {
    const { port, sessions } = await startGateway({ limits: { maxPayloadBytes: 2_000_000 } });
    const gate = newGate();
    sessions.gates.set('s', gate.promise);
    const client = await connected(port);
    for (const id of [1, 2]) client.send(send(id, { data: 'ü'.repeat(300_000) }));
    expect(await client.next()).toMatchObject({ code: 'rate_limited', id: '2' });
    gate.open();
    expect(await answers(client, 1)).toEqual(['send_ack 1']);
  });

  it('that wait are dropped when the connection closes', async () => {
    const { port, sessions, reports } = await startGateway();
    const client = await connected(port);
    const gate = newGate();
    sessions.gates.set('s', gate.promise);
    client.send({ type: 'claim', session_id: 's' });
    client.send(send(1));
    await client.ask({ type: 'ping' });
    client.socket.close();
    await until(() => reports.open === 0);
    gate.open();
    await until(() => sessions.calls.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sessions.sent).toEqual([]);
  });
});
