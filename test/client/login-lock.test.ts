import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { problem } from './fake-auth.js';
import { auth, ended, LOGIN_KEY, later, login, open, outcome, pass, storage, stored } from './login-harness.js';

type Granted = () => Promise<unknown>;
type Request = (name: string, options: { signal: AbortSignal }, granted: Granted) => Promise<unknown>;

/** Grants as browsers do: one after the other, unless its signal was aborted before. */
class FakeLocks {
  /** That are held or asked for. */
  open = 0;
  readonly names: string[] = [];
  #tail: Promise<unknown> = Promise.resolve();

  readonly request: Request = (name, { signal }, granted) => {
    this.names.push(name);
    this.open++;
    const run = async () => {
      signal.throwIfAborted();
      return granted();
    };
    const done = this.#tail.then(run).finally(() => this.open--);
    this.#tail = done.catch(() => {});
    return done;
  };
}

function stubLocks(request: Request): void {
  vi.stubGlobal('navigator', { locks: { request } });
  onTestFinished(() => void vi.unstubAllGlobals());
}

describe('with Web Locks', () => {
  let locks: FakeLocks;

  beforeEach(() => {
    locks = new FakeLocks();
    stubLocks(locks.request);
  });

  it('one tab refreshes after the other', async () => {
    const [first, second] = [open(), open()];
    const late = later();
    auth.replies.push(late.reply);
    const tabs = [outcome(first.refresh()), outcome(second.refresh())];
    await pass(1_900);
    expect(auth.count('refresh')).toBe(1);
    late.answer(problem(503, 'store_unavailable', 500));
    await pass(100);
    // The first waits for its next try without the lock.
    expect(auth.count('refresh')).toBe(2);
    await pass(1_000);
    expect(tabs.map(({ code }) => code)).toEqual(['ok', 'ok']);
    expect(locks.names).toEqual(Array(3).fill('holdfast:refresh'));
    expect(locks.open).toBe(0);
  });

  it('a tab that is frozen while it refreshes holds the others up for 2 s', async () => {
    const [frozen, other] = [open(), open()];
    auth.replies.push('hang');
    const stuck = outcome(frozen.refresh());
    const refreshed = outcome(other.refresh());
    await pass(1_999);
    expect(refreshed.code).toBeUndefined();
    await pass(1);
    expect(refreshed.code).toBe('ok');
    await pass(30_000);
    expect(stuck.code).toBe('ok');
    expect(locks.open).toBe(0);
  });

  it('whoever waits for the lock gives up on a logout, and leaves no lock behind', async () => {
    const [first, second] = [open(), open()];
    await second.exchange('hfc_1');
    const late = later();
    auth.replies.push(late.reply);
    outcome(first.refresh());
    const refreshed = outcome(second.refresh());
    await pass();
    await second.logout();
    await pass(1_000);
    expect(refreshed.code).toBe('no_login');
    late.answer(Response.json({}));
    await pass();
    expect(auth.count('refresh')).toBe(1);
    expect(locks.open).toBe(0);
  });

  it('whoever waits for it ends with the client', async () => {
    const [first, second] = [open(), open()];
    auth.replies.push('hang');
    outcome(first.refresh());
    const refreshed = outcome(second.refresh());
    await pass();
    second.close();
    first.close();
    await pass();
    expect(refreshed.code).toBe('stopped');
    expect(locks.open).toBe(0);
    expect(auth.count('refresh')).toBe(1);
  });

  it('a program whose logins share no cookie asks for none', async () => {
    auth.refreshTokens = true;
    const refreshTokens = { get: () => 'hfr1.0', set: () => {} };
    await open({ refreshTokens }).refresh();
    expect(locks.names).toEqual([]);
  });
});

it.each<[string, Request]>([
  ['never grants', () => new Promise(() => {})],
  [
    'grants when it is too late',
    (_name, _options, granted) => new Promise((resolve) => setTimeout(() => resolve(granted()), 2_500)),
  ],
])('a lock that %s costs 2 s', async (_name, request) => {
  stubLocks(request);
  const refreshed = outcome(open().refresh());
  await pass(1_999);
  expect(auth.count('refresh')).toBe(0);
  await pass(1);
  expect(refreshed.code).toBe('ok');
  await pass(1_000);
  expect(auth.count('refresh')).toBe(1);
});

it.each<[string, () => void]>([
  [
    'throws',
    () =>
      stubLocks(() => {
        throw new DOMException('no', 'SecurityError');
      }),
  ],
  ['rejects', () => stubLocks(() => Promise.reject(new DOMException('no', 'SecurityError')))],
  ['is missing', () => vi.stubGlobal('navigator', {})],
  ['has no navigator', () => vi.stubGlobal('navigator', undefined)],
])('a lock manager that %s costs nothing', async (_name, stub) => {
  stub();
  onTestFinished(() => void vi.unstubAllGlobals());
  const refreshed = outcome(open().refresh());
  await pass();
  expect(refreshed.code).toBe('ok');
  expect(auth.count('refresh')).toBe(1);
});

describe('a credential that is taken for one that is over', () => {
  it.each(['ticket', 'me', 'upstream'] as const)('is refreshed once, and %s asked for again once', async (path) => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(401, 'invalid_credential'));
    await login[path]();
    expect(auth.sent.map((request) => request.path)).toEqual(['exchange', path, 'refresh', path]);
    auth.replies.push(problem(401, 'invalid_credential'));
    auth.replies.push(Response.json({ login_id: 'login_1', access_token: 'opaque', expires_at: 0 }));
    auth.replies.push(problem(401, 'invalid_credential'));
    await expect(login[path]()).rejects.toMatchObject({ code: 'invalid_credential' });
    expect(auth.sent).toHaveLength(7);
    expect(ended).toEqual([]);
  });

  it('whose refresh fails is told by that', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(401, 'invalid_credential'), problem(401, 'login_ended'));
    await expect(login.ticket()).rejects.toMatchObject({ code: 'login_ended' });
    expect(auth.count('ticket')).toBe(1);
  });

  it('is no matter of 403', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(403, 'origin_not_allowed'));
    await expect(login.ticket()).rejects.toMatchObject({ code: 'origin_not_allowed' });
    expect(auth.sent).toHaveLength(2);
  });
});

it('a refusal here is no logout in the other tabs', async () => {
  await open().exchange('hfc_1');
  auth.replies.push(problem(401, 'unauthorized'));
  await login.me().catch(() => {});
  expect(storage.getItem(LOGIN_KEY)).toBe('');
  await login.logout();
  expect(stored.has(LOGIN_KEY)).toBe(false);
});
