import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Message, Session } from '../../src/client/index.js';
import { client, gateway, opened, owning, pass, reopened } from './client-harness.js';

const S = { session_id: 's:1' };

function deliver(...offsets: number[]): void {
  for (const offset of offsets) gateway.socket.receive({ type: 'message', ...S, offset, at: 7, data: `m${offset}` });
}

async function subscribed(): Promise<Session<string>> {
  const session = await opened();
  gateway.socket.acknowledge();
  return session as Session<string>;
}

const offsetsOf = (results: IteratorResult<Message<string>>[]) =>
  results.map(({ done, value }) => (done ? 'done' : value.offset));

describe('the stream of a session', () => {
  afterEach(() => vi.restoreAllMocks());

  it('gives what comes after the call, in order, and what came while nobody read', async () => {
    const session = await subscribed();
    deliver(1);
    const messages = session.messages();
    deliver(2, 3);
    const early = [messages.next(), messages.next(), messages.next(), messages.next()];
    deliver(4);
    deliver(5, 6);
    expect(offsetsOf(await Promise.all([...early, messages.next()]))).toEqual([2, 3, 4, 5, 6]);
  });

  it('goes on over a lost connection and tells of a gap', async () => {
    const session = await subscribed();
    const heard: [number, boolean][] = [];
    const reading = (async () => {
      for await (const { offset, gap } of session) {
        heard.push([offset, gap]);
        if (offset === 9) return;
      }
    })();
    deliver(1);
    await pass();
    gateway.socket.breakOff();
    await reopened();
    gateway.socket.acknowledge({ position: { epoch: 'e1', offset: 1 }, recovered: true });
    deliver(2);
    gateway.socket.receive({ type: 'reset', ...S, position: { epoch: 'e2', offset: 6 }, recovered: false });
    gateway.socket.receive({ type: 'message', ...S, offset: 6, at: 7, ephemeral: true, data: null });
    deliver(7, 8, 9);
    await reading;
    expect(heard).toEqual([
      [1, false],
      [2, false],
      [6, false],
      [7, true],
      [8, false],
      [9, false],
    ]);
  });

  it.each(['unsubscribed', 'closed'] as const)('ends when the session is %s', async (how) => {
    const session = await owning();
    const messages = session.messages();
    const waiting = messages.next();
    if (how === 'closed') client.close();
    else {
      void session.unsubscribe();
      gateway.socket.receive({ type: 'unsubscribe_ack', ...S, id: gateway.socket.last('unsubscribe').id });
    }
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await messages.next()).toEqual({ done: true, value: undefined });
    expect(await session.messages().next()).toEqual({ done: true, value: undefined });
  });

  it.each([
    ['removed', 'stopped'],
    ['forbidden', 'forbidden'],
  ] as const)('rejects once after the last message when the gateway ends the session: %s', async (reason, code) => {
    const session = await subscribed();
    const messages = session.messages();
    deliver(1);
    gateway.socket.receive({ type: 'unsubscribed', ...S, reason });
    expect(offsetsOf([await messages.next()])).toEqual([1]);
    await expect(messages.next()).rejects.toMatchObject({ code, sessionId: 's:1' });
    expect(offsetsOf([await messages.next()])).toEqual(['done']);
    await expect(session.messages().next()).rejects.toMatchObject({ code });
  });

  it('rejects one of several readers with the code of the refusal', async () => {
    const session = await opened();
    const messages = session.messages();
    const reads = Promise.allSettled([messages.next(), messages.next()]);
    const { id } = gateway.socket.last('subscribe');
    gateway.socket.receive({ type: 'error', code: 'forbidden', message: '', retryable: false, id, ...S });
    expect(await reads).toMatchObject([{ reason: { code: 'forbidden' } }, { value: { done: true } }]);
  });

  it('keeps no more than its limit, gives that, and leaves the session alone', async () => {
    const session = await subscribed();
    const messages = session.messages({ limit: 2 });
    const unlimited = session.messages();
    deliver(1, 2, 3, 4);
    expect(offsetsOf([await messages.next(), await messages.next()])).toEqual([1, 2]);
    await expect(messages.next()).rejects.toMatchObject({ code: 'queue_full' });
    expect(offsetsOf([await messages.next(), await unlimited.next()])).toEqual(['done', 1]);
    expect(session.state.name).toBe('watching');
  });

  it('is called off by its signal, at once and with its reason', async () => {
    const session = await subscribed();
    const calling = new AbortController();
    const [idle, full] = [session.messages({ signal: calling.signal }), session.messages({ signal: calling.signal })];
    const waiting = idle.next();
    deliver(1);
    expect(offsetsOf([await waiting])).toEqual([1]);
    const next = idle.next();
    const reason = new Error('enough');
    calling.abort(reason);
    await expect(next).rejects.toBe(reason);
    await expect(full.next()).rejects.toBe(reason);
    await expect(session.messages({ signal: calling.signal }).next()).rejects.toBe(reason);
  });

  it('that a listener of the same message ends does not give it', async () => {
    const session = await subscribed();
    session.on('message', () => void messages.return?.());
    const messages = session.messages();
    deliver(1);
    expect(offsetsOf([await messages.next()])).toEqual(['done']);
  });

  it('leaves no listener behind, however it ends', async () => {
    const session = await subscribed();
    const counts = { message: 0, state: 0 };
    const on = session.on.bind(session) as (event: string, listener: () => void) => () => void;
    session.on = ((event: 'message' | 'state', listener: () => void) => {
      const off = on(event, listener);
      counts[event]++;
      return () => {
        counts[event]--;
        off();
      };
    }) as typeof session.on;
    const calling = new AbortController();
    const removed = vi.spyOn(calling.signal, 'removeEventListener');
    const streams = {
      left: session.messages(),
      returned: session.messages({ signal: calling.signal }),
      full: session.messages({ limit: 0 }),
      ended: session.messages(),
      aborted: session.messages({ signal: AbortSignal.abort() }),
    };
    expect(counts).toEqual({ message: 4, state: 4 });
    const waiting = streams.returned.next();
    await streams.returned.return?.();
    expect(offsetsOf([await waiting, await streams.returned.next()])).toEqual(['done', 'done']);
    expect(removed).toHaveBeenCalledTimes(1);
    const loop = (async () => {
      for await (const { offset } of streams.left) if (offset === 1) break;
    })();
    deliver(1);
    await loop;
    expect(counts).toEqual({ message: 1, state: 1 });
    client.close();
    expect(counts).toEqual({ message: 0, state: 0 });
    expect(offsetsOf([await streams.ended.next(), await streams.ended.next()])).toEqual([1, 'done']);
    await Promise.allSettled([streams.full.next(), streams.aborted.next()]);
  });
});
