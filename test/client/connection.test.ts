import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createClient } from '../../src/client/index.js';
import { client, connect, gateway, opened, owning, pass, reopened, URL } from './client-harness.js';
import { OWNED } from './fake-gateway.js';
import { FakePage } from './fake-page.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('several URLs', () => {
  const urls = ['ws://one.test/', 'ws://two.test/', 'ws://three.test/'];

  it('are tried in turn until one gives a welcome, which is then kept', async () => {
    connect({ url: urls }).session('s:1');
    await pass();
    gateway.socket.breakOff();
    for (let tries = 0; gateway.sockets.length < 2 && tries < 100; tries++) await pass(5);
    await pass(10_000);
    await pass(1_000);
    expect(gateway.sockets.map(({ url }) => url)).toEqual(urls);
    gateway.socket.welcome();
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.sockets.map(({ url }) => url)).toEqual([...urls, urls[2]]);
    gateway.socket.breakOff();
    for (let tries = 0; gateway.sockets.length < 5 && tries < 1_000; tries++) await pass(5);
    gateway.socket.breakOff();
    for (let tries = 0; gateway.sockets.length < 6 && tries < 1_000; tries++) await pass(5);
    expect(gateway.sockets.slice(4).map(({ url }) => url)).toEqual([urls[2], urls[0]]);
  });

  it('share the reconnect tokens, which are kept under the first', async () => {
    const stored = new Map<string, string>();
    const storage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    };
    await owning({ url: urls, storage });
    expect([...stored]).toEqual([[`holdfast:${urls[0]}:s:1`, 'token-1']]);
  });

  it('are not given up for an attempt that could not begin', async () => {
    let fails = true;
    const protocols = () => {
      if (fails) throw new Error('not now');
      return [];
    };
    connect({ url: urls, protocols }).session('s:1');
    await pass(1_000);
    fails = false;
    await pass(20_000);
    expect(gateway.sockets[0]?.url).toBe(urls[0]);
  });

  it('must be WebSocket URLs, and at least one', () => {
    connect();
    for (const url of [[], ['ws://one.test/', 'https://two.test/']]) {
      expect(() => createClient({ url, WebSocket: gateway.WebSocket })).toThrow(TypeError);
    }
  });
});

describe('getTicket', () => {
  it('is asked for a ticket for every attempt', async () => {
    let tickets = 0;
    await owning({ getTicket: async () => `t${++tickets}` });
    gateway.socket.breakOff(4202);
    await reopened();
    expect(gateway.sockets.map(({ protocols }) => protocols)).toEqual([
      ['holdfast.v1', 'holdfast.ticket.t1'],
      ['holdfast.v1', 'holdfast.ticket.t2'],
    ]);
  });

  it('goes with no other credential', () => {
    connect();
    const options = { url: URL, WebSocket: gateway.WebSocket, getTicket: () => 't' };
    expect(() => createClient({ ...options, getAccessToken: () => 'a' })).toThrow(TypeError);
  });
});

describe('a page that comes back', () => {
  it.each(['online', 'pageshow', 'focus'])('looks at once whether its connection lives: %s', async (type) => {
    const page = new FakePage();
    await owning();
    page.window.dispatchEvent(new Event(type));
    expect(gateway.socket.all('ping')).toHaveLength(1);
    await pass(2_999);
    expect(client.connection.name).toBe('open');
    await pass(1);
    expect(client.connection.name).toBe('waiting');
  });

  it('does so when it is thawed or shown, and not when it is hidden, frozen or cut off', async () => {
    const page = new FakePage();
    await owning();
    page.hide();
    page.document.dispatchEvent(new Event('freeze'));
    page.goOnline(false);
    expect(gateway.socket.all('ping')).toEqual([]);
    expect(client.connection.name).toBe('open');
    page.document.dispatchEvent(new Event('resume'));
    gateway.socket.receive({ type: 'pong' });
    page.show();
    expect(gateway.socket.all('ping')).toHaveLength(2);
  });

  it('ends its wait for the next attempt', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    const page = new FakePage();
    await owning();
    gateway.socket.breakOff(4101);
    page.window.dispatchEvent(new Event('focus'));
    expect(client.connection.name).toBe('connecting');
  });
});

describe('a page that is offline', () => {
  it('spends no attempts, but for one now and then, and connects as soon as it is online', async () => {
    const page = new FakePage();
    await owning();
    page.goOnline(false);
    gateway.socket.breakOff();
    expect(client.connection).toMatchObject({ name: 'waiting', delayMs: 20_000 });
    page.window.dispatchEvent(new Event('focus'));
    await pass(19_999);
    expect(gateway.sockets).toHaveLength(1);
    await pass(1);
    expect(gateway.sockets).toHaveLength(2);
    gateway.socket.breakOff();
    await pass(10_000);
    page.goOnline(true);
    await pass();
    expect(gateway.sockets).toHaveLength(3);
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    gateway.socket.breakOff();
    expect(client.connection).toMatchObject({ name: 'waiting', delayMs: 99 });
  });

  it('goes on waiting when it was cut off during the wait', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const page = new FakePage();
    await owning();
    gateway.socket.breakOff(4101);
    page.goOnline(false);
    await pass(20_000);
    expect(gateway.sockets).toHaveLength(1);
    await pass(2_000);
    expect(gateway.sockets).toHaveLength(2);
  });
});

describe('a gateway that is away', () => {
  /** How long after the loss of the connection the client tries to connect. */
  async function attempts(forMs: number): Promise<number[]> {
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    const lostMs = performance.now();
    gateway.socket.breakOff();
    const atMs: number[] = [];
    while (performance.now() - lostMs < forMs) {
      await pass(10);
      if (client.connection.name !== 'connecting') continue;
      atMs.push(performance.now() - lostMs);
      gateway.socket.breakOff();
    }
    return atMs;
  }

  it('is asked until what was owned is held no more, and more rarely from then on', async () => {
    await owning();
    const atMs = await attempts(80_000);
    expect(Math.max(...atMs.filter((ms) => ms < 30_000))).toBeGreaterThan(28_000);
    expect(atMs.filter((ms) => ms > 32_000)).toHaveLength(2);
  });

  it('is asked once in each grace period at least, for which gateways that come back free nothing', async () => {
    await opened();
    gateway.socket.acknowledge({ ...OWNED, grace_ms: 3_000 });
    const atMs = await attempts(30_000);
    const waits = atMs.map((ms, i) => ms - (atMs[i - 1] ?? 0));
    expect(Math.max(...waits)).toBeGreaterThan(2_900);
    expect(Math.max(...waits)).toBeLessThan(3_100);
  });
});

describe('a machine that slept', () => {
  /** The clock on the wall goes on, timers and monotonic time do not. */
  const sleep = (ms: number) => vi.setSystemTime(Date.now() + ms);

  it('looks at its connection within seconds of waking, and gives it little time', async () => {
    await owning();
    await pass(2_000);
    sleep(3_600_000);
    await pass(3_000);
    expect(gateway.socket.all('ping')).toHaveLength(1);
    await pass(3_000);
    expect(client.connection.name).toBe('waiting');
  });

  it('ends a wait', async () => {
    await owning();
    gateway.socket.receive({ type: 'reconnect', after_ms: 200_000, jitter_ms: 0, reason: 'drain' });
    gateway.socket.breakOff(1012);
    await pass(50_000);
    expect(gateway.sockets).toHaveLength(1);
    sleep(60_000);
    await pass(5_000);
    expect(gateway.sockets).toHaveLength(2);
  });

  it('notices it too by a timer that comes late while the clock on the wall was set back', async () => {
    await owning();
    const { now } = performance;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 6_000);
    await pass(5_000);
    expect(gateway.socket.all('ping')).toHaveLength(1);
  });

  it('asks once more before it takes a late answer for none', async () => {
    await owning();
    await pass(25_000);
    expect(gateway.socket.all('ping')).toHaveLength(1);
    await pass(1_000);
    sleep(60_000);
    await pass(4_000);
    expect(client.connection.name).toBe('open');
    expect(gateway.socket.all('ping')).toHaveLength(2);
    gateway.socket.receive({ type: 'pong' });
    await pass(5_000);
    expect(client.connection.name).toBe('open');
  });

  it('gives up a peer that stays silent though every timer comes late, as in a page that is hidden for long', async () => {
    await owning();
    const { now } = performance;
    let lateMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + lateMs);
    for (let timers = 0; timers < 10 && client.connection.name === 'open'; timers++) {
      lateMs += 60_000;
      await vi.advanceTimersToNextTimerAsync();
    }
    expect(client.connection.name).toBe('waiting');
  });

  it('does not take a clock that is set a little, or a tick that is a little late, for sleep', async () => {
    await owning();
    await pass(2_000);
    sleep(4_900);
    await pass(22_999);
    expect(gateway.socket.all('ping')).toEqual([]);
  });
});

describe('closes', () => {
  it('with whatever code stop or come back, and leave no timer when closed then', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1_000, max: 4_999 }), fc.boolean(), async (code, welcome) => {
        const session = connect({ getTicket: () => 't' }).session('s:1');
        await pass();
        if (welcome) gateway.socket.welcome();
        gateway.socket.breakOff(code);
        const stops = code >= 4_000 && code <= 4_099;
        expect(client.connection.name).toBe(stops ? 'stopped' : 'waiting');
        expect(session.state.name).toBe(stops ? 'stopped' : 'connecting');
        client.close();
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('that come at once cost no more attempts than the backoff allows, whatever the codes and hints', async () => {
    const closes = fc.record({
      code: fc.oneof(fc.integer({ min: 1_000, max: 3_999 }), fc.integer({ min: 4_100, max: 4_999 })),
      welcome: fc.boolean(),
      hint: fc.option(fc.record({ after_ms: fc.integer({ min: -5, max: 50 }), jitter_ms: fc.integer({ max: 50 }) })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(closes, { minLength: 1, maxLength: 5 }), fc.gen(), async (kinds, generate) => {
        vi.spyOn(Math, 'random').mockImplementation(
          () => generate(fc.double, { min: 0, max: 0.99, noNaN: true }) / 2 + 0.5,
        );
        connect({ getTicket: () => 't' }).session('s:1');
        await pass();
        const before = gateway.sockets.length;
        for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 50) {
          if (client.connection.name === 'connecting') {
            const { code, welcome, hint } = kinds[gateway.sockets.length % kinds.length] ?? { code: 1_006 };
            if (welcome) gateway.socket.welcome();
            if (hint) gateway.socket.receive({ type: 'reconnect', reason: 'drain', ...hint });
            gateway.socket.breakOff(code);
          }
          await pass(50);
        }
        client.close();
        // At least half of 0.1 + 0.2 + … + 20 s lies between them.
        expect(gateway.sockets.length - before).toBeLessThan(16);
      }),
      { numRuns: 20 },
    );
  });
});
