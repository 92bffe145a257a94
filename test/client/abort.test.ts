import { describe, expect, it, vi } from 'vitest';
import { createClient } from '../../src/client/index.js';
import { client, connect, gateway, opened, owning, pass, reopened, URL } from './client-harness.js';
import { OWNED, snapshot } from './fake-gateway.js';
import { FakePage } from './fake-page.js';

const S = { session_id: 's:1' };
const reason = new Error('called off');

describe('a signal', () => {
  it('that is aborted before sends nothing and changes nothing', async () => {
    const session = await owning();
    const signal = AbortSignal.abort(reason);
    const sent = gateway.socket.sent.length;
    const calls = [
      session.claim({ signal }),
      session.release({ signal }),
      session.unsubscribe({ signal }),
      session.send('a', { signal }),
      session.signal('b', { signal }),
    ];
    for (const call of calls) await expect(call).rejects.toBe(reason);
    expect(gateway.socket.sent).toHaveLength(sent);
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription()).toMatchObject({ claim: 'if_free', reconnect_token: 'token-1' });
  });

  it('takes back what waits for the connection, and only that', async () => {
    const session = await opened();
    const calling = new AbortController();
    const { signal } = calling;
    const aborted = [session.claim({ signal }), session.send('a', { signal }), session.signal('b', { signal })];
    const results = Promise.allSettled(aborted);
    const kept = session.send('c');
    calling.abort(reason);
    expect(await results).toEqual(aborted.map(() => ({ status: 'rejected', reason })));
    gateway.socket.acknowledge(OWNED);
    expect(gateway.socket.sent.map(({ type }) => type)).toEqual(['subscribe', 'send']);
    expect(gateway.socket.last('send')).toMatchObject({ data: 'c' });
    gateway.socket.receive({ type: 'send_ack', ...S, id: gateway.socket.last('send').id, offset: 1, owner_epoch: 5 });
    expect(await kept).toEqual({ offset: 1 });
  });

  it('ignores the answer to what was sent, be it an acknowledgement or a refusal', async () => {
    const session = await owning();
    const errors: string[] = [];
    session.on('error', ({ code }) => errors.push(code));
    client.on('error', ({ code }) => errors.push(code));
    const calling = new AbortController();
    const { signal } = calling;
    const results = Promise.allSettled([session.send(1, { signal }), session.send(2, { signal })]);
    const [first, second] = gateway.socket.all('send');
    calling.abort(reason);
    expect((await results).every(({ status }) => status === 'rejected')).toBe(true);
    gateway.socket.receive({ type: 'send_ack', ...S, id: first?.id, offset: 1, owner_epoch: 5 });
    const refusal = { type: 'error', code: 'not_owner', message: '', retryable: false, id: second?.id };
    gateway.socket.receive({ ...refusal, ...S });
    gateway.socket.receive(refusal);
    gateway.socket.breakOff();
    await reopened();
    gateway.socket.acknowledge(OWNED);
    expect(gateway.socket.all('send')).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('on a claim under way leaves the state to what the gateway then says, and the way to the next free', async () => {
    const session = await opened();
    gateway.socket.acknowledge({ state: 'free' });
    const calling = new AbortController();
    const claimed = session.claim({ signal: calling.signal });
    const { id } = gateway.socket.last('claim');
    const released = session.release();
    calling.abort(reason);
    await expect(claimed).rejects.toBe(reason);
    expect(gateway.socket.all('release')).toEqual([]);
    gateway.socket.receive({ ...snapshot('s:1'), ...OWNED, type: 'claim_ack', id, owner_epoch: 6, rev: 2 });
    expect(session.state.name).toBe('owner');
    gateway.socket.receive({ type: 'release_ack', ...S, id: gateway.socket.last('release').id });
    await released;
    expect(session.state.name).toBe('watching');
  });

  it('on an unsubscription under way does not undo it', async () => {
    const session = await owning();
    const calling = new AbortController();
    const left = session.unsubscribe({ signal: calling.signal });
    calling.abort(reason);
    await expect(left).rejects.toBe(reason);
    expect(session.state.name).toBe('owner');
    gateway.socket.receive({ type: 'unsubscribe_ack', ...S, id: gateway.socket.last('unsubscribe').id });
    expect(session.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
  });

  it('is let go when the call is answered', async () => {
    const session = await owning();
    const calling = new AbortController();
    const added = vi.spyOn(calling.signal, 'addEventListener');
    const removed = vi.spyOn(calling.signal, 'removeEventListener');
    const sent = session.send('a', { signal: calling.signal });
    const released = session.release({ signal: calling.signal });
    gateway.socket.receive({ type: 'send_ack', ...S, id: gateway.socket.last('send').id, offset: 1, owner_epoch: 5 });
    gateway.socket.receive({ type: 'release_ack', ...S, id: gateway.socket.last('release').id });
    await Promise.all([sent, released]);
    expect(added).toHaveBeenCalledTimes(2);
    expect(removed).toHaveBeenCalledTimes(2);
  });

  it('of a session unsubscribes it', async () => {
    const calling = new AbortController();
    connect();
    const session = client.session('s:1', { signal: calling.signal });
    await pass();
    gateway.socket.welcome();
    await pass();
    gateway.socket.acknowledge(OWNED);
    calling.abort();
    gateway.socket.receive({ type: 'unsubscribe_ack', ...S, id: gateway.socket.last('unsubscribe').id });
    expect(session.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
    const late = client.session('s:1', { signal: calling.signal });
    await pass();
    expect(late.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
    expect(client.session('s:1')).not.toBe(late);
  });

  it('of a client closes it', async () => {
    const calling = new AbortController();
    const session = await owning({ signal: calling.signal });
    calling.abort();
    expect(client.connection).toEqual({ name: 'stopped', code: undefined });
    expect(session.state).toEqual({ name: 'stopped', reason: 'closed' });
    connect({ signal: calling.signal });
    expect(client.connection.name).toBe('stopped');
  });
});

describe('disposal', () => {
  it('of a session unsubscribes, of a client closes', async () => {
    const session = await owning();
    const disposed = session[Symbol.asyncDispose]();
    gateway.socket.receive({ type: 'unsubscribe_ack', ...S, id: gateway.socket.last('unsubscribe').id });
    await disposed;
    expect(session.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
    await client[Symbol.asyncDispose]();
    expect(client.connection).toEqual({ name: 'stopped', code: undefined });
  });

  it.each(['close', 'signal', 'the gateway'])('leaves no timer and no listener behind: %s', async (how) => {
    const page = new FakePage();
    const storage = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
    const calling = new AbortController();
    const { signal } = calling;
    const removed = vi.spyOn(signal, 'removeEventListener');
    const session = await owning({ storage, signal });
    const waiting = session
      .messages({ signal })
      .next()
      .catch(() => {});
    const results = Promise.allSettled([session.send('a', { signal }), session.claim({ signal }), waiting]);
    expect(page.listeners).toBeGreaterThan(5);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    if (how === 'close') client.close();
    else if (how === 'signal') calling.abort();
    else gateway.socket.breakOff(4000);
    expect(page.listeners).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    if (how !== 'signal') expect(removed.mock.calls.length).toBeGreaterThanOrEqual(3);
    await results;
    await pass(600_000);
    expect(gateway.sockets).toHaveLength(1);
  });

  it('has nothing to take down of a client that never began', () => {
    const page = new FakePage();
    createClient({ url: URL, WebSocket: gateway.WebSocket }).close();
    connect().close();
    expect(page.listeners).toBe(0);
  });
});
