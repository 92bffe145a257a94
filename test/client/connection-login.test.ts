import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientError, type ClientOptions, createClient } from '../../src/client/index.js';
import { createJwtLogin, createLogin, type LoginClient } from '../../src/client/login/index.js';
import { client, connect, gateway, owning, pass, reopened, URL } from './client-harness.js';
import { accessToken, FakeAuth, problem } from './fake-auth.js';

let auth: FakeAuth;
let login: LoginClient;
let errors: ClientError[];

const HOUR_MS = 3_600_000;

beforeEach(() => {
  auth = new FakeAuth();
  errors = [];
  login = createLogin({ url: 'https://gateway.test', fetch: auth.fetch });
});

afterEach(() => login.close());

async function loggedIn(options: Partial<ClientOptions> = {}): Promise<void> {
  await owning({ login, ...options });
  client.on('error', (error) => errors.push(error));
}

/** Everything but the renewal itself, for so long. */
async function live(ms: number, everyMs = 5_000): Promise<void> {
  for (let passed = 0; passed < ms; passed += everyMs) {
    gateway.socket.receive({ type: 'pong' });
    await pass(everyMs);
    gateway.socket.receive({ type: 'pong' });
  }
}

function expiring(): string {
  gateway.socket.receive({ type: 'login_expiring', expires_at: 0 });
  return gateway.socket.last('renew_login').id ?? '';
}

describe('a connection with a login', () => {
  it('gets a ticket of its own for every attempt', async () => {
    await loggedIn();
    expect(gateway.socket.protocols).toEqual(['holdfast.v1', 'holdfast.ticket.hft_1']);
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.protocols).toEqual(['holdfast.v1', 'holdfast.ticket.hft_2']);
    expect(auth.count('refresh')).toBe(0);
  });

  it('waits between its attempts however long ago the gateway asks for the next', async () => {
    await loggedIn();
    auth.replies.push(...Array.from({ length: 500 }, () => problem(503, 'overloaded', -1e9)));
    gateway.socket.breakOff();
    await pass(10_000);
    expect(auth.count('ticket')).toBeLessThan(30);
  });

  it('comes back within 2 s after a tab was idle for longer than every lifetime', async () => {
    await loggedIn();
    client.pause();
    await pass(20 * 24 * HOUR_MS);
    client.resume();
    await pass();
    gateway.socket.breakOff();
    await pass(2_000);
    expect(gateway.socket.protocols[1]).toBe('holdfast.ticket.hft_3');
    expect(errors).toEqual([]);
  });

  it.each([4201, 4202, 4299])('refreshes the login after %i, then connects', async (code) => {
    await loggedIn();
    gateway.socket.breakOff(code);
    await pass(100);
    expect(auth.sent.map(({ path }) => path)).toEqual(['ticket', 'refresh', 'ticket']);
    gateway.socket.welcome();
    expect(client.connection.name).toBe('open');
    gateway.socket.breakOff();
    await reopened();
    expect(auth.count('refresh')).toBe(1);
  });

  it('goes on trying when the refresh fails, and refreshes again before it connects', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    login = createLogin({ url: 'https://g.test', fetch: auth.fetch, operationTimeoutMs: 50 });
    await loggedIn();
    auth.replies.push(problem(503, 'store_unavailable', 1_000), new TypeError('offline'));
    gateway.socket.breakOff(4201);
    await pass(3_000);
    expect(auth.sent.map(({ path }) => path)).toEqual(['ticket', 'refresh', 'refresh', 'refresh', 'ticket']);
    expect(errors.map(({ code }) => code)).toEqual(['connect_failed', 'connect_failed']);
    expect(gateway.sockets).toHaveLength(2);
    random.mockRestore();
  });

  it('waits as long as the gateway asks before the next ticket', async () => {
    await loggedIn();
    auth.replies.push(problem(503, 'store_unavailable', 5_000));
    gateway.socket.breakOff();
    await pass(4_900);
    expect(auth.count('ticket')).toBe(2);
    await pass(500);
    expect(gateway.sockets).toHaveLength(2);
  });

  it.each(['hang', 'hang on'] as const)('is not stuck behind a ticket that never comes (%s)', async (hang) => {
    await loggedIn();
    auth.replies.push(hang);
    gateway.socket.breakOff();
    await pass(10_500);
    expect(gateway.sockets).toHaveLength(2);
  });

  it.each([
    ['login_ended', 4002],
    ['invalid_refresh_token', 4002],
    ['refresh_token_reused', 4003],
  ])('stops when the gateway says %s', async (code, closeCode) => {
    await loggedIn();
    auth.replies.push(problem(401, code));
    gateway.socket.breakOff();
    await pass(60_000);
    expect(client.connection).toEqual({ name: 'stopped', code: closeCode });
    expect(auth.count('ticket')).toBe(2);
  });

  it('does not touch an open connection because a request failed', async () => {
    await loggedIn();
    for (const reply of [problem(401, 'login_ended'), problem(401, 'invalid_refresh_token'), new TypeError('x')]) {
      auth.replies.push(reply);
      await login.ticket().catch(() => {});
    }
    expect(client.connection.name).toBe('open');
    expect(gateway.socket.closedWith).toBeUndefined();
  });

  it('stops after 4000 to 4099 without asking for anything', async () => {
    await loggedIn();
    gateway.socket.breakOff(4002);
    await pass(60_000);
    expect(client.connection).toEqual({ name: 'stopped', code: 4002 });
    expect(auth.sent).toHaveLength(1);
  });

  it('takes one credential', () => {
    connect();
    const { WebSocket } = gateway;
    expect(() => createClient({ url: URL, WebSocket, login, getAccessToken: () => 'jwt' })).toThrow(TypeError);
  });
});

describe('a renewal', () => {
  it('goes over the connection, for hours, without HTTP', async () => {
    await loggedIn();
    const renewed: string[] = [];
    login.on('renewed', ({ accessToken: token }) => renewed.push(token));
    for (let round = 1; round <= 20; round++) {
      // Before the login thinks of it.
      await live(170_000);
      const id = expiring();
      expect(gateway.socket.last('renew_login')).not.toHaveProperty('access_token');
      gateway.socket.receive({ type: 'login_renewed', id, access_token: accessToken(round), expires_at: 0 });
      expect(await login.accessToken()).toBe(accessToken(round));
    }
    expect(renewed).toHaveLength(20);
    expect(gateway.sockets).toHaveLength(1);
    expect(gateway.socket.all('renew_login')).toHaveLength(20);
    expect(auth.sent).toHaveLength(1);
  });

  it('is asked for by the login when the gateway says nothing', async () => {
    await login.exchange('hfc_1');
    await loggedIn();
    const sent = auth.sent.length;
    for (let round = 1; round <= 20; round++) {
      await live(170_000);
      expect(gateway.socket.all('renew_login')).toHaveLength(round - 1);
      for (let i = 0; i < 14 && gateway.socket.all('renew_login').length < round; i++) await live(5_000);
      const id = gateway.socket.last('renew_login').id ?? '';
      gateway.socket.receive({ type: 'login_renewed', id, access_token: accessToken(round), expires_at: 0 });
      expect(await login.accessToken()).toBe(accessToken(round));
    }
    expect(auth.sent).toHaveLength(sent);
  });

  it('is asked for once, again when refused for now or not answered, and never by a reconnect', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0);
    await loggedIn();
    const id = expiring();
    expiring();
    expect(gateway.socket.all('renew_login')).toHaveLength(1);
    const busy = { type: 'error', code: 'store_unavailable', message: '', retryable: true, retry_after_ms: 2_000, id };
    gateway.socket.receive(busy);
    await pass(1_999);
    expect(gateway.socket.all('renew_login')).toHaveLength(1);
    await pass(1);
    expect(gateway.socket.all('renew_login')).toHaveLength(2);
    await live(15_000);
    expect(gateway.socket.all('renew_login')).toHaveLength(3);
    const last = gateway.socket.last('renew_login').id;
    gateway.socket.receive({ type: 'login_renewed', ...(last && { id: last }), expires_at: 0 });
    await live(60_000);
    expect(gateway.socket.all('renew_login')).toHaveLength(3);
    expect(gateway.sockets).toHaveLength(1);
    expect(errors).toEqual([]);
    random.mockRestore();
  });

  it('that is refused for good is told, and left to the node', async () => {
    await loggedIn();
    const id = expiring();
    gateway.socket.receive({ type: 'error', code: 'login_ended', message: '', retryable: false, id });
    await live(60_000);
    expect(gateway.socket.all('renew_login')).toHaveLength(1);
    expect(errors.map(({ code }) => code)).toEqual(['login_ended']);
    expect(client.connection.name).toBe('open');
  });

  it('begins anew on the next connection', async () => {
    await loggedIn();
    expiring();
    gateway.socket.breakOff();
    await reopened();
    await pass(5_000);
    expect(gateway.socket.all('renew_login')).toHaveLength(0);
    expiring();
    expect(gateway.socket.all('renew_login')).toHaveLength(1);
  });
});

describe('an application’s own JWT', () => {
  let tokens: number;
  let fails: boolean;

  const jwtLogin = () =>
    createJwtLogin({
      url: 'https://gateway.test',
      fetch: auth.fetch,
      getAccessToken: async () => {
        if (fails) throw new Error('401 of the application');
        return `jwt-${++tokens}`;
      },
    });

  beforeEach(() => {
    tokens = 0;
    fails = false;
  });

  it('pays for the ticket of each attempt', async () => {
    await loggedIn({ login: jwtLogin() });
    expect(auth.last.headers.get('Authorization')).toBe('Bearer jwt-1');
    expect(auth.last.credentials).toBe('omit');
    expect(gateway.socket.protocols).toEqual(['holdfast.v1', 'holdfast.ticket.hft_1']);
    gateway.socket.breakOff(4201);
    await pass(100);
    expect(auth.last.headers.get('Authorization')).toBe('Bearer jwt-2');
  });

  it('that ran out on the way is asked for once more', async () => {
    auth.replies.push(problem(401, 'invalid_credential'));
    await loggedIn({ login: jwtLogin() });
    expect(auth.sent.map(({ headers }) => headers.get('Authorization'))).toEqual(['Bearer jwt-1', 'Bearer jwt-2']);
    auth.replies.push(problem(401, 'invalid_credential'), problem(401, 'invalid_credential'));
    gateway.socket.breakOff();
    await pass(100);
    expect(auth.count('ticket')).toBe(4);
  });

  it.each(['a login', 'a header'])('is presented for the renewal (%s)', async (how) => {
    if (how === 'a login') await loggedIn({ login: jwtLogin() });
    else {
      await owning({ getAccessToken: () => `jwt-${++tokens}` });
    }
    gateway.socket.receive({ type: 'login_expiring', expires_at: 0 });
    await pass();
    expect(gateway.socket.last('renew_login').access_token).toBe('jwt-2');
  });

  it('that is still the one before is asked for again', async () => {
    await loggedIn({ login: jwtLogin() });
    gateway.socket.receive({ type: 'login_expiring', expires_at: 0 });
    await pass();
    const id = gateway.socket.last('renew_login').id ?? '';
    gateway.socket.receive({ type: 'error', code: 'invalid_field', message: '', retryable: false, id });
    await live(10_000);
    expect(gateway.socket.last('renew_login').access_token).toBe('jwt-3');
    expect(errors).toEqual([]);
  });

  it('that is not to be had costs no connection, and is asked for again', async () => {
    await loggedIn({ login: jwtLogin() });
    fails = true;
    gateway.socket.receive({ type: 'login_expiring', expires_at: 0 });
    await live(10_000);
    expect(gateway.socket.all('renew_login')).toHaveLength(0);
    expect(errors[0]).toMatchObject({ code: 'renewal_failed' });
    fails = false;
    await live(10_000);
    expect(gateway.socket.last('renew_login').access_token).toMatch(/^jwt-/);
    expect(gateway.sockets).toHaveLength(1);
  });
});

it('a session that may no longer be watched ends, with its token', async () => {
  const session = await owning();
  gateway.socket.receive({ type: 'unsubscribed', session_id: 's:1', reason: 'forbidden' });
  expect(session.state).toEqual({ name: 'stopped', reason: 'forbidden' });
  client.session('s:1');
  await pass();
  expect(gateway.socket.subscription()).not.toHaveProperty('reconnect_token');
});
