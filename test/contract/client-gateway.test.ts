/** What clients make of a gateway: the same scenarios over the fake one and over a real one in memory. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, type ClientOptions, createClient, type Session } from '../../src/client/index.js';
import { createLogin } from '../../src/client/login/index.js';
import { type GatewayUnderTest, type StartGateway, startFake, startReal } from './client-gateway-harness.js';

const soon = (holds: () => void) => vi.waitFor(holds, { interval: 5, timeout: 5_000 });

/** Leases are as long: a busy machine renews them late. */
const SETTINGS = { graceMs: 10_000, accessTokenMs: 1_000 };
const SHORT_GRACE_MS = 600;

describe.concurrent.each<[string, StartGateway]>([
  ['the fake gateway', startFake],
  ['a gateway in memory', startReal],
])('a client of %s', (_, start) => {
  let gateway: GatewayUnderTest;
  const open: { close(): void }[] = [];

  beforeAll(async () => {
    gateway = await start(SETTINGS);
  });

  afterAll(async () => {
    for (const one of open) one.close();
    await gateway.stop();
  });

  function connect(options: Partial<ClientOptions> = {}, to = gateway): Client {
    const client = createClient({ url: to.url, WebSocket: to.WebSocket, ...options });
    open.push(client);
    return client;
  }

  const becomes = (session: Session, name: string) => soon(() => expect(session.state.name).toBe(name));
  const epochOf = ({ state }: Session) => ('ownership' in state ? state.ownership.ownerEpoch : 0);

  /** Breaks the connection of a client. */
  function drop(client: Client): void {
    if (client.connection.name === 'open') gateway.drop(client.connection.welcome.connection_id);
  }

  /** Breaks the connection of an owner's client, which takes the session back. */
  async function dropOwner(client: Client, owner: Session): Promise<void> {
    const states: string[] = [];
    const stop = owner.on('state', ({ state }) => states.push(state.name));
    drop(client);
    await soon(() => expect(states).toEqual(['reconnecting', 'owner']));
    stop();
  }

  /** An owner and a watcher. */
  async function pair(id: string, to = gateway): Promise<[Client, Session, Client, Session]> {
    const [first, second] = [connect({}, to), connect({}, to)];
    const owner = first.session(id);
    await becomes(owner, 'owner');
    const watcher = second.session(id);
    await becomes(watcher, 'watching');
    return [first, owner, second, watcher];
  }

  it('the first one owns, the second one watches, and a claim is refused or forced', async () => {
    const [, owner, , watcher] = await pair('claim:1');
    await expect(watcher.claim()).rejects.toMatchObject({ code: 'session_owned' });
    const before = epochOf(owner);
    await watcher.claim({ force: true });
    expect(epochOf(watcher)).toBeGreaterThan(before);
    await becomes(owner, 'watching');
    expect(watcher.state.name).toBe('owner');
  });

  it('a release frees at once, an unsubscription too', async () => {
    const [, owner, , watcher] = await pair('release:1');
    const reasons: string[] = [];
    watcher.on('ownership', ({ reason }) => reasons.push(reason));
    await owner.release();
    expect(owner.state).toMatchObject({ name: 'watching', ownership: { state: 'free' } });
    await watcher.claim();
    await watcher.release();
    await owner.claim();
    await owner.unsubscribe();
    await soon(() => expect(reasons.at(-1)).toBe('unsubscribed'));
    expect(reasons.slice(0, 2)).toEqual(['released', 'claimed']);
  });

  it('an owner that drops is waited for, and takes its session back at a new epoch', async () => {
    const [first, owner, , watcher] = await pair('drop:1');
    const before = epochOf(owner);
    first.pause();
    await becomes(watcher, 'held_by_other');
    await expect(watcher.claim()).rejects.toMatchObject({ code: 'session_held', retryable: true });
    first.resume();
    await becomes(owner, 'owner');
    expect(epochOf(owner)).toBeGreaterThan(before);
    await becomes(watcher, 'watching');
    await dropOwner(first, owner);
  });

  it('the grace period ends: the session is free, and who comes back is a watcher', async () => {
    const short = await start({ ...SETTINGS, graceMs: SHORT_GRACE_MS });
    try {
      const [first, owner, second, watcher] = await pair('grace:1', short);
      first.pause();
      await becomes(watcher, 'held_by_other');
      await soon(() => expect(watcher.state).toMatchObject({ ownership: { state: 'free' } }));
      await watcher.claim();
      first.resume();
      await becomes(owner, 'watching');
      for (const client of [first, second]) client.close();
    } finally {
      await short.stop();
    }
  });

  it('a token is good once: who has the old one becomes a watcher', async () => {
    const stored = new Map<string, string>();
    const storage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    };
    const first = connect({ storage });
    const owner = first.session('token:1');
    await becomes(owner, 'owner');
    const copy = new Map(stored);
    await dropOwner(first, owner);
    const thief = connect({
      storage: { ...storage, getItem: (key) => copy.get(key) ?? null, removeItem: (key) => void copy.delete(key) },
    });
    const stolen = thief.session('token:1');
    await becomes(stolen, 'watching');
    expect(owner.state.name).toBe('owner');
  });

  it('sends keep their order and arrive once, over a lost connection too', async () => {
    const [first, owner, second, watcher] = await pair('send:1');
    const heard: unknown[] = [];
    watcher.on('message', ({ offset, data }) => heard.push([offset, data]));
    const sent = Array.from({ length: 60 }, (__, n) => owner.send(n));
    await sent[20];
    drop(first);
    drop(second);
    const offsets = (await Promise.all(sent)).map(({ offset }) => offset);
    const all = Array.from({ length: 60 }, (__, n) => n);
    expect(offsets).toEqual(all.map((n) => n + 1));
    await soon(() => expect(heard.length).toBe(60));
    expect(heard).toEqual(all.map((n) => [n + 1, n]));
    await expect(watcher.send('mine')).rejects.toMatchObject({ code: 'not_owner' });
  });

  it('the same key is the same message', async () => {
    const [, owner] = await pair('key:1');
    const { offset } = await owner.send('one', { idempotencyKey: 'k' });
    expect(await owner.send('one', { idempotencyKey: 'k' })).toEqual({ offset });
    await expect(owner.send('two', { idempotencyKey: 'k' })).rejects.toMatchObject({ code: 'idempotency_conflict' });
    expect(await owner.send('two')).toEqual({ offset: offset + 1 });
  });

  it('history comes from the beginning, or from where one stopped', async () => {
    for (const n of [1, 2, 3]) await gateway.publish('history:1', n);
    const client = connect();
    const session = client.session('history:1', { since: 'oldest' });
    const heard: unknown[] = [];
    session.on('message', ({ data }) => heard.push(data));
    await soon(() => expect(heard.length).toBe(3));
    client.pause();
    for (const n of [4, 5]) await gateway.publish('history:1', n);
    client.resume();
    await soon(() => expect(heard).toEqual([1, 2, 3, 4, 5]));
    const { position } = session;
    expect(position?.offset).toBe(5);
  });

  it('history that is lost is told of', async () => {
    for (const n of [1, 2, 3]) await gateway.publish('lost:1', n);
    const client = connect();
    const session = client.session('lost:1', { since: 'oldest', claim: 'never' });
    const heard: unknown[] = [];
    session.on('message', ({ data }) => heard.push(data));
    session.on('reset', ({ offset }) => heard.push(`reset at ${offset}`));
    await soon(() => expect(heard.length).toBe(3));
    client.pause();
    await soon(() => expect(client.connection.name).toBe('paused'));
    await gateway.loseHistory('lost:1');
    client.resume();
    await becomes(session, 'watching');
    await gateway.publish('lost:1', 4);
    await soon(() => expect(heard).toEqual([1, 2, 3, 'reset at 0', 4]));
  });

  it('a signal goes to the owner', async () => {
    const [, owner, second, watcher] = await pair('signal:1');
    const signals: unknown[] = [];
    owner.on('signal', ({ data, connectionId }) => signals.push([connectionId, data]));
    expect(await watcher.signal('stop')).toEqual({ owner: true });
    const { connection } = second;
    const id = connection.name === 'open' ? connection.welcome.connection_id : '';
    await soon(() => expect(signals).toEqual([[id, 'stop']]));
    await owner.release();
    expect(await watcher.signal('stop')).toEqual({ owner: false });
  });

  it('the application frees a session', async () => {
    const [, owner, , watcher] = await pair('remove:1');
    await gateway.removeOwner('remove:1');
    await soon(() => expect(owner.state).toMatchObject({ name: 'watching', ownership: { state: 'free' } }));
    await watcher.claim();
  });

  it('a login is renewed over the connection, and its end stops the client and frees its session', async () => {
    const requests: string[] = [];
    const counted: typeof fetch = (input, init) => {
      if (typeof input === 'string') requests.push(input.replace(/.*\//, ''));
      return gateway.fetch(input, init);
    };
    let kept: string | undefined;
    const refreshTokens = { get: () => kept, set: (token: string | undefined) => void (kept = token) };
    const login = createLogin({ url: gateway.origin, fetch: counted, refreshTokens });
    open.push(login);
    await login.exchange(await gateway.createLogin('alice'));
    const client = connect({ login });
    const session = client.session('login:1');
    await becomes(session, 'owner');
    expect(client.connection).toMatchObject({ welcome: { principal: 'alice' } });
    let renewed = 0;
    login.on('renewed', () => renewed++);
    await soon(() => expect(renewed).toBeGreaterThan(0));
    expect(requests.slice(0, 2)).toEqual(['exchange', 'ticket']);
    expect(client.connection.name).toBe('open');
    const watcher = connect().session('login:1');
    await becomes(watcher, 'watching');
    await gateway.endLogins('alice');
    await soon(() => expect(client.connection).toEqual({ name: 'stopped', code: 4001 }));
    await soon(() => expect(watcher.state).toMatchObject({ ownership: { state: 'free' } }));
    await expect(login.refresh()).rejects.toMatchObject({ code: expect.stringMatching(/login_ended|no_login/) });
  });

  it('a logout frees what the page owned', async () => {
    let kept: string | undefined;
    const refreshTokens = { get: () => kept, set: (token: string | undefined) => void (kept = token) };
    const login = createLogin({ url: gateway.origin, fetch: gateway.fetch, refreshTokens });
    open.push(login);
    await login.exchange(await gateway.createLogin('bob'));
    const session = connect({ login }).session('logout:1');
    await becomes(session, 'owner');
    const watcher = connect().session('logout:1');
    await becomes(watcher, 'watching');
    await login.logout();
    await becomes(session, 'stopped');
    await soon(() => expect(watcher.state).toMatchObject({ ownership: { state: 'free' } }));
  });

  it('a gateway that restarts says when to come back', async () => {
    const restarting = await start(SETTINGS);
    try {
      const client = connect({}, restarting);
      const session = client.session('drain:1');
      await becomes(session, 'owner');
      const waits: object[] = [];
      client.on('connection', (state) => state.name === 'waiting' && waits.push(state));
      await restarting.drain();
      await soon(() => expect(waits.length).toBeGreaterThan(0));
      // At once: the gateway has paced it.
      expect(waits[0]).toMatchObject({ code: 1012, delayMs: 0 });
      client.close();
    } finally {
      await restarting.stop();
    }
  });
});
