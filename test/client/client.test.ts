import { describe, expect, it, vi } from 'vitest';
import { ClientError, type ClientOptions, createClient } from '../../src/client/index.js';
import { client, connect, gateway, opened, owning, pass, reopened, URL } from './client-harness.js';
import { OWNED } from './fake-gateway.js';

describe('subscribing', () => {
  it('waits for the welcome, then asks for all sessions in one frame', async () => {
    connect();
    const sessions = ['a:1', 'a:2', 'a:3'].map((id) => client.session(id));
    await pass();
    expect(gateway.socket.protocols).toEqual(['holdfast.v1']);
    expect(gateway.socket.sent).toEqual([]);
    gateway.socket.welcome();
    await pass();
    expect(gateway.socket.sent).toHaveLength(1);
    expect(gateway.socket.last('subscribe').sessions.map(({ session_id }) => session_id)).toEqual([
      'a:1',
      'a:2',
      'a:3',
    ]);
    gateway.socket.acknowledge();
    expect(sessions.map(({ state }) => state.name)).toEqual(['watching', 'watching', 'watching']);
  });

  it('splits what does not fit into one frame', async () => {
    connect();
    for (let index = 0; index < 128; index++) client.session(`a:${index}`);
    await pass();
    gateway.socket.welcome();
    await pass();
    expect(gateway.socket.all('subscribe').map(({ sessions }) => sessions.length)).toEqual([64, 64]);
    expect(() => client.session('one:more')).toThrow(ClientError);
  });

  it('gives each operation an attempt id of 128 random bits', async () => {
    const session = await opened();
    const first = gateway.socket.subscription().attempt_id;
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    gateway.socket.acknowledge();
    void session.claim().catch(() => {});
    expect(gateway.socket.last('claim').attempt_id).toMatch(/^[0-9a-f]{32}$/);
    expect(gateway.socket.last('claim').attempt_id).not.toBe(first);
  });

  it('sends the same attempt again when the answer was lost, a new one when it was not', async () => {
    await opened();
    const lost = gateway.socket.subscription();
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription()).toEqual(lost);
    gateway.socket.acknowledge(OWNED);
    gateway.socket.breakOff();
    await reopened();
    const next = gateway.socket.subscription();
    expect(next).toMatchObject({ reconnect_token: 'token-1' });
    expect(next.attempt_id).not.toBe(lost.attempt_id);
  });

  it('gives up a connection that leaves a request unanswered', async () => {
    await opened();
    const [socket] = gateway.sockets;
    await pass(10_000);
    expect(socket?.closedWith).toBe(4_900);
    await pass(100);
    expect(gateway.sockets).toHaveLength(2);
  });

  it('tries again when told that it is not possible now, with the same attempt', async () => {
    await opened();
    const { id, sessions } = gateway.socket.last('subscribe');
    gateway.socket.receive({
      type: 'error',
      code: 'store_unavailable',
      message: '',
      retryable: true,
      retry_after_ms: 700,
      id,
    });
    await pass(699);
    expect(gateway.socket.all('subscribe')).toHaveLength(1);
    await pass(1);
    expect(gateway.socket.last('subscribe').sessions).toEqual(sessions);
  });

  it('stops a session that the application ends, and forgets its token', async () => {
    const session = await owning();
    gateway.socket.receive({ type: 'unsubscribed', session_id: 's:1', reason: 'removed' });
    expect(session.state).toEqual({ name: 'stopped', reason: 'removed' });
    client.session('s:1');
    await pass();
    expect(gateway.socket.subscription()).not.toHaveProperty('reconnect_token');
  });

  it('stops a session that is refused, and says why', async () => {
    const session = await opened();
    const errors: ClientError[] = [];
    session.on('error', (error) => errors.push(error));
    const { id } = gateway.socket.last('subscribe');
    gateway.socket.receive({
      type: 'error',
      code: 'forbidden',
      message: 'no',
      retryable: false,
      id,
      session_id: 's:1',
    });
    expect(session.state).toEqual({ name: 'stopped', reason: 'refused', code: 'forbidden' });
    expect(errors.map(({ code }) => code)).toEqual(['forbidden']);
    expect(client.session('s:1')).not.toBe(session);
  });

  it('refuses ids and options that cannot work', () => {
    connect();
    expect(() => client.session('no spaces')).toThrow(TypeError);
    expect(() => createClient({ url: 'http://gateway.test' })).toThrow('url must begin with');
    expect(() => createClient({} as ClientOptions)).toThrow('url must begin with');
    expect(() => createClient({ url: URL, getAccessToken: () => 'token' })).toThrow(TypeError);
  });
});

describe('a listener', () => {
  it('gets a session anew when it hears that it ended', async () => {
    const session = await owning();
    let next = session;
    session.on('state', ({ state }) => {
      if (state.name === 'stopped') next = client.session('s:1');
    });
    gateway.socket.receive({ type: 'unsubscribed', session_id: 's:1', reason: 'removed' });
    await pass();
    expect(next).not.toBe(session);
    expect(gateway.socket.all('subscribe')).toHaveLength(2);
  });

  it('that closes the client changes the order of events for nobody', async () => {
    const session = await owning();
    const heard = { session: [] as string[], client: [] as string[] };
    session.on('state', ({ state }) => state.name === 'reconnecting' && client.close());
    session.on('state', ({ state }) => heard.session.push(state.name));
    client.on('connection', ({ name }) => heard.client.push(name));
    gateway.socket.breakOff();
    expect(heard).toEqual({ session: ['reconnecting', 'stopped'], client: ['stopped'] });
  });

  it('that another one took off hears nothing more', async () => {
    const session = await owning();
    const heard: string[] = [];
    session.on('state', () => off());
    const off = session.on('state', ({ state }) => heard.push(state.name));
    gateway.socket.breakOff();
    expect(heard).toEqual([]);
  });
});

describe('the reconnect token', () => {
  it.each(['invalid_reconnect_token', 'reconnect_token_used'] as const)('is dropped after %s', async (code) => {
    const session = await owning();
    gateway.socket.breakOff();
    await reopened();
    const { id } = gateway.socket.last('subscribe');
    const refused = gateway.socket.subscription();
    gateway.socket.receive({ type: 'error', code, message: '', retryable: false, id, session_id: 's:1' });
    await pass();
    expect(gateway.socket.subscription()).not.toHaveProperty('reconnect_token');
    expect(gateway.socket.subscription().attempt_id).not.toBe(refused.attempt_id);
    gateway.socket.acknowledge({ state: 'held' });
    expect(session.state.name).toBe('held_by_other');
  });

  it('is kept while the lease is unconfirmed', async () => {
    const session = await owning();
    gateway.socket.receive({ type: 'ownership_lost', session_id: 's:1', reason: 'lease_unconfirmed', owner_epoch: 5 });
    expect(session.state.name).toBe('unconfirmed');
    gateway.socket.breakOff();
    expect(session.state).toMatchObject({ name: 'reconnecting', wasOwner: true });
    await reopened();
    expect(gateway.socket.subscription().reconnect_token).toBe('token-1');
  });

  it('is gone after the session was lost to another', async () => {
    const session = await owning();
    gateway.socket.receive({ type: 'ownership_lost', session_id: 's:1', reason: 'forced', owner_epoch: 6 });
    expect(session.state.name).toBe('watching');
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription()).not.toHaveProperty('reconnect_token');
  });

  it('is kept when an event of the time before comes late', async () => {
    const session = await owning();
    const late = { type: 'ownership', session_id: 's:1', owner_epoch: 4, rev: 9 };
    gateway.socket.receive({ ...late, state: 'free', reason: 'released' });
    gateway.socket.receive({ ...late, state: 'owned', reason: 'transferred', owner: true, reconnect_token: 'token-0' });
    expect(session.state.name).toBe('owner');
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription().reconnect_token).toBe('token-1');
  });

  it('comes with an ownership that was not asked for', async () => {
    const session = await opened();
    gateway.socket.acknowledge();
    const handed = {
      type: 'ownership',
      session_id: 's:1',
      state: 'owned',
      owner_epoch: 7,
      rev: 4,
      reason: 'handed_over',
    };
    gateway.socket.receive({ ...handed, owner: true, reconnect_token: 'token-7' });
    expect(session.state.name).toBe('owner');
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription().reconnect_token).toBe('token-7');
  });

  it('outlives the client in a storage, also outside of a page', async () => {
    const stored = new Map<string, string>();
    const storage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    };
    const first = await owning({ storage });
    client.close();
    expect(first.state).toEqual({ name: 'stopped', reason: 'closed' });
    const second = await opened({ storage });
    expect(gateway.socket.subscription().reconnect_token).toBe('token-1');
    gateway.socket.acknowledge({ ...OWNED, reconnect_token: 'token-2' });
    const released = second.release();
    gateway.socket.receive({ type: 'release_ack', session_id: 's:1', id: gateway.socket.last('release').id });
    await released;
    expect(stored.size).toBe(0);
  });
});
describe('the connection', () => {
  it('pings, and gives up a peer that stays silent', async () => {
    await owning();
    const { socket } = gateway;
    await pass(25_000);
    expect(socket.all('ping')).toHaveLength(1);
    socket.receive({ type: 'pong' });
    await pass(25_000);
    expect(socket.all('ping')).toHaveLength(2);
    await pass(7_999);
    expect(client.connection.name).toBe('open');
    await pass(1);
    expect(client.connection.name).toBe('waiting');
    expect(socket.closedWith).toBe(4_900);
    await pass(200);
    expect(gateway.sockets).toHaveLength(2);
  });

  it('pings as often as the gateway asks', async () => {
    connect().session('s:1');
    await pass();
    gateway.socket.welcome(5_000);
    await pass();
    gateway.socket.acknowledge();
    await pass(5_000);
    expect(gateway.socket.all('ping')).toHaveLength(1);
  });

  it('gives up an attempt that no welcome follows', async () => {
    connect().session('s:1');
    await pass(10_000);
    expect(client.connection.name).toBe('waiting');
  });

  it('waits as the gateway hinted before it closed', async () => {
    await owning();
    gateway.socket.receive({ type: 'reconnect', after_ms: 3_000, jitter_ms: 0, reason: 'drain' });
    gateway.socket.breakOff(1012);
    await pass(2_999);
    expect(gateway.sockets).toHaveLength(1);
    await pass(1);
    expect(gateway.sockets).toHaveLength(2);
  });

  it('stops for good when the gateway says so', async () => {
    const session = await owning();
    gateway.socket.breakOff(4001);
    await pass(60_000);
    expect(gateway.sockets).toHaveLength(1);
    expect(client.connection).toEqual({ name: 'stopped', code: 4001 });
    expect(session.state).toMatchObject({ name: 'stopped', reason: 'gateway' });
    expect(() => client.session('s:2')).toThrow(ClientError);
  });

  it('asks for a credential for every attempt', async () => {
    let calls = 0;
    await owning({ getAccessToken: async () => `access-${++calls}`, protocols: () => [`p${calls}`] });
    expect(gateway.socket.headers).toEqual({ authorization: 'Bearer access-1' });
    gateway.socket.breakOff(4201);
    await pass(200);
    expect(gateway.socket.headers).toEqual({ authorization: 'Bearer access-2' });
    expect(gateway.socket.protocols).toEqual(['holdfast.v1', 'p1']);
  });

  it('says when an attempt could not begin, and goes on trying', async () => {
    let attempts = 0;
    const errors: string[] = [];
    connect({
      getAccessToken: () => {
        if (++attempts === 1) throw new Error('no token now');
        return 'access';
      },
    });
    client.on('error', ({ code }) => errors.push(code));
    client.session('s:1');
    await pass(200);
    expect(errors).toEqual(['connect_failed']);
    expect(gateway.sockets).toHaveLength(1);
  });

  it('backs off while connections do not last, and begins anew after one that did', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.999);
    await owning();
    const delays: number[] = [];
    client.on('connection', (state) => {
      if (state.name === 'waiting') delays.push(state.delayMs);
    });
    for (let index = 0; index < 4; index++) {
      gateway.socket.breakOff();
      await reopened();
    }
    gateway.socket.acknowledge();
    await pass(6_000);
    gateway.socket.breakOff();
    expect(delays).toEqual([99, 199, 399, 799, 99]);
    random.mockRestore();
  });

  it('stays away while paused, and comes back with its token', async () => {
    const session = await owning();
    client.pause();
    await pass(60_000);
    expect(gateway.sockets).toHaveLength(1);
    expect(session.state).toMatchObject({ name: 'reconnecting', wasOwner: true });
    client.resume();
    await pass();
    gateway.socket.welcome();
    await pass();
    expect(gateway.socket.subscription().reconnect_token).toBe('token-1');
  });

  it('ignores what it does not understand, and what an abandoned socket still says', async () => {
    const session = await owning();
    const [socket] = gateway.sockets;
    for (const frame of ['not json', '[]', 'null', '{"type":"message","session_id":"s:1"}', '{"type":"presence"}']) {
      socket?.receive(frame);
    }
    expect(session.state.name).toBe('owner');
    client.reconnect();
    socket?.receive({ type: 'ownership_lost', session_id: 's:1', reason: 'forced', owner_epoch: 9 });
    socket?.breakOff(4001);
    expect(session.state).toMatchObject({ name: 'reconnecting', wasOwner: true });
    await pass(200);
    expect(gateway.sockets).toHaveLength(2);
  });
});
