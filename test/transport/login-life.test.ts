import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { TurnQueue } from '../../src/lib/turn-queue.js';
import type { Principal } from '../../src/login/api.js';
import { principalHandle } from '../../src/login/handles.js';
import type { ServerMessage } from '../../src/protocol/messages.js';
import { authenticate } from '../../src/transport/authenticate.js';
import { Connection, type GatewaySocket } from '../../src/transport/connection.js';
import type { ConnectionContext } from '../../src/transport/connection-context.js';
import { joinedFrames } from '../../src/transport/frame.js';
import { NO_SLOT, TimerWheel } from '../../src/transport/timer-wheel.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';
import { fakeAuthentication } from './fake-logins.js';
import { FakeSessions } from './fake-sessions.js';
import { LIMITS, Reports } from './gateway.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A socket whose peer answers pings at once, and its stream. */
class FakeSocket extends EventEmitter {
  readonly frames: ServerMessage[] = [];
  closed: { code: number; reason: string; atMs: number } | undefined;
  bytesRead = 0;
  writableLength = 0;
  readonly readyState = WebSocket.OPEN;
  readonly extensions = '';
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    super();
    this.#clock = clock;
  }

  cork(): void {}

  uncork(): void {}

  write(frame: Buffer): boolean {
    this.frames.push(JSON.parse(frame.subarray(frame.indexOf('{')).toString()) as ServerMessage);
    return true;
  }

  ping(): void {
    this.bytesRead += 6;
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason, atMs: this.#clock.wallMs() };
  }

  terminate(): void {}
}

/** No turn ends where time stands still. */
const AT_ONCE: ConnectionContext['turnWrites'] = {
  has: () => false,
  add: (writer, part) => writer.writeNow(joinedFrames([part])),
  flush: () => {},
};

type Of<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

/** One connection, with time that moves only when told to. */
async function connect(principalOf: (fakes: Awaited<ReturnType<typeof fakeAuthentication>>) => Principal) {
  const clock = new FakeClock();
  const fakes = await fakeAuthentication(clock);
  onTestFinished(() => fakes.live.stop());
  fakes.logins.bearers.set('token', principalOf(fakes));
  const wheel = new TimerWheel(SECOND, LIMITS.pingIntervalMs);
  const sessions = new FakeSessions();
  const socket = new FakeSocket(clock);
  const bearer = { kind: 'bearer', value: 'token' } as const;
  const identity = await authenticate(bearer, undefined, fakes.authentication, clock.wallMs());
  const connection = new Connection(
    'c_1',
    identity,
    { key: '', connections: 1 },
    socket as unknown as GatewaySocket,
    socket,
    {
      nodeId: 'n1',
      sessions,
      limits: LIMITS,
      wheel,
      turnWrites: AT_ONCE,
      pending: { bytes: 0 },
      departures: new TurnQueue(),
      clock,
      log: silent,
      telemetry: new Reports(),
      onAged() {},
      onGone() {},
    },
  );
  connection.welcome();
  const startMs = clock.wallMs();

  function all<T extends ServerMessage['type']>(type: T): Of<T>[] {
    return socket.frames.filter((frame): frame is Of<T> => frame.type === type);
  }
  function send(message: object): void {
    const text = JSON.stringify(message);
    const bytes = Buffer.byteLength(text);
    socket.bytesRead += bytes;
    connection.receive(text, bytes);
  }
  return {
    ...fakes,
    clock,
    sessions,
    socket,
    connection,
    startMs,
    all,
    send,
    /** Sends, and gives what it is answered. */
    async ask(message: object): Promise<ServerMessage | undefined> {
      const before = socket.frames.length;
      send(message);
      await turn();
      return socket.frames[before];
    },
    /** Lets time pass second by second, and calls `each` after each. */
    async pass(ms: number, each: (second: number) => void = () => {}): Promise<void> {
      for (let second = 1; second <= ms / SECOND; second += 1) {
        clock.advance(SECOND);
        wheel.advance();
        each(second);
        await turn();
      }
    },
    renewWhenTold(): () => void {
      let told = 0;
      return () => {
        if (all('login_expiring').length === told) return;
        told += 1;
        send({ type: 'renew_login', id: `renewal-${told}` });
      };
    },
  };
}

const login = (options?: Parameters<Awaited<ReturnType<typeof fakeAuthentication>>['logins']['create']>[1]) =>
  connect(({ logins }) => logins.create('a', options));

const jwt = (ttlMs: number) =>
  connect(() => ({
    principal: 'alice',
    rights: [],
    issuedAtMs: new FakeClock().wallMs(),
    expiresAtMs: new FakeClock().wallMs() + ttlMs,
  }));

describe('a connection of a login', () => {
  it('with steady pings and renewals is not closed in an hour, though it is idle after 15 minutes', async () => {
    const it = await login({ idleMs: 15 * MINUTE });
    const renew = it.renewWhenTold();
    await it.pass(HOUR, (second) => {
      if (second % 30 === 0) it.send({ type: 'ping' });
      renew();
    });
    expect(it.socket.closed).toBeUndefined();
    expect(it.all('login_renewed').length).toBe(14);
    expect(it.all('error')).toEqual([]);
    expect(it.logins.logins.get('a')?.endsAtMs).toBeGreaterThan(it.clock.wallMs() + 13 * MINUTE);
  });

  it('is told of its end, and of renewal, in the welcome', async () => {
    const { all, startMs } = await login();
    expect(all('welcome')[0]).toMatchObject({
      expires_at: startMs + 5 * MINUTE,
      features: ['messages', 'renew_login'],
    });
  });

  it('that is not renewed is told once, a minute before, and closed with 4201 after the margin', async () => {
    const it = await login();
    await it.pass(4 * MINUTE - SECOND);
    expect(it.all('login_expiring')).toEqual([]);
    await it.pass(3 * SECOND);
    expect(it.all('login_expiring')).toEqual([{ type: 'login_expiring', expires_at: it.startMs + 5 * MINUTE }]);
    await it.pass(MINUTE + LIMITS.renewalMarginMs + SECOND);
    expect(it.socket.closed).toMatchObject({ code: 4201, reason: 'login_expired' });
    expect(it.socket.closed?.atMs).toBeGreaterThanOrEqual(it.startMs + 5 * MINUTE + LIMITS.renewalMarginMs);
    expect(it.all('login_expiring')).toHaveLength(1);
    expect(it.sessions.departures).toEqual([{ id: 'c_1', release: false }]);
  });

  it('can be renewed within the margin', async () => {
    const it = await login();
    await it.pass(5 * MINUTE + 20 * SECOND);
    const expires_at = it.clock.wallMs() + 5 * MINUTE;
    expect(await it.ask({ type: 'renew_login', id: '1' })).toEqual({
      type: 'login_renewed',
      id: '1',
      access_token: 'access-1',
      expires_at,
    });
    await it.pass(4 * MINUTE + 2 * SECOND);
    expect(it.all('login_expiring').at(-1)).toEqual({ type: 'login_expiring', expires_at });
    expect(it.socket.closed).toBeUndefined();
  });

  it('that only answers heartbeats is seen, and ends with its login: 4002', async () => {
    const it = await login({ idleMs: 3 * MINUTE });
    await it.pass(2 * MINUTE);
    expect(it.logins.touches).toEqual([false, false]);
    await it.pass(MINUTE + 2 * SECOND);
    expect(it.socket.closed).toMatchObject({ code: 4002, reason: 'login_ended' });
    expect(it.logins.touches.every((active) => !active)).toBe(true);
    expect(it.sessions.departures).toEqual([{ id: 'c_1', release: true }]);
  });

  it('ends with the absolute end of its login, however active: 4002', async () => {
    const it = await login({ maxMs: 20 * MINUTE });
    const renew = it.renewWhenTold();
    await it.pass(20 * MINUTE + 2 * SECOND, (second) => {
      if (second % 30 === 0) it.send({ type: 'ping' });
      renew();
    });
    expect(it.socket.closed).toMatchObject({ code: 4002 });
  });

  it('outlives a store that is away, unrenewed until the margin ends', async () => {
    const it = await login({ idleMs: 2 * MINUTE });
    it.logins.away = true;
    await it.pass(5 * MINUTE);
    expect(await it.ask({ type: 'renew_login' })).toMatchObject({ code: 'store_unavailable', retryable: true });
    expect(it.socket.closed).toBeUndefined();
    it.logins.away = false;
    await it.pass(2 * SECOND);
    expect(it.socket.closed).toMatchObject({ code: 4002 });
  });

  it('that is too slow to be told is closed, and woken no more', async () => {
    const it = await login();
    it.socket.writableLength = LIMITS.maxQueueBytes + 1;
    await it.pass(4 * MINUTE + 2 * SECOND);
    expect(it.socket.closed).toMatchObject({ code: 4103 });
    expect(it.connection.wheelSlot).toBe(NO_SLOT);
  });

  it('that renews a login which is over is closed by its reason', async () => {
    const it = await login();
    it.logins.end('a', 'revoked');
    await it.ask({ type: 'renew_login' });
    expect(it.socket.closed).toMatchObject({ code: 4001, reason: 'revoked' });
  });

  it('takes an access token of its own login, and no other', async () => {
    const it = await login();
    it.logins.bearers.set('own', it.logins.create('a'));
    it.logins.bearers.set('other', it.logins.create('b'));
    it.logins.bearers.set('jwt', { principal: 'alice', rights: [], issuedAtMs: 0, expiresAtMs: it.startMs + HOUR });
    expect(await it.ask({ type: 'renew_login', access_token: 'own' })).toMatchObject({ type: 'login_renewed' });
    for (const access_token of ['other', 'jwt']) {
      expect(await it.ask({ type: 'renew_login', id: '1', access_token })).toMatchObject({
        code: 'principal_mismatch',
        field: 'access_token',
        id: '1',
      });
    }
    expect(it.logins.renewals).toBe(1);
  });

  it('has the rights of its login as they are when it is renewed', async () => {
    const it = await login({ rights: [{ sessions: '*', allow: ['watch', 'own'] }] });
    expect(it.connection.rights.allows('own', 's')).toBe(true);
    const fake = it.logins.logins.get('a');
    if (fake !== undefined) fake.rights = [{ sessions: '*', allow: ['watch'] }];
    await it.ask({ type: 'renew_login' });
    expect(it.connection.rights.allows('own', 's')).toBe(false);
    expect(it.sessions.calls).toEqual(['recheck alice']);
  });

  it('is out of the register once it is closed', async () => {
    const it = await login();
    it.connection.close('restart');
    await it.control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
    const { reads } = it.control;
    while (it.control.reads < reads + 2) await turn();
    expect(it.socket.closed).toMatchObject({ code: 1012 });
  });
});

describe('a connection with a JWT of the application', () => {
  it('is renewed by a later one of the same principal', async () => {
    const it = await jwt(2 * MINUTE);
    expect(it.all('welcome')[0]).toMatchObject({ expires_at: it.startMs + 2 * MINUTE });
    await it.pass(80 * SECOND + SECOND);
    expect(it.all('login_expiring')).toHaveLength(1);
    const expiresAtMs = it.startMs + HOUR;
    it.logins.bearers.set('later', { principal: 'alice', rights: [], issuedAtMs: it.startMs, expiresAtMs });
    expect(await it.ask({ type: 'renew_login', access_token: 'later' })).toEqual({
      type: 'login_renewed',
      expires_at: expiresAtMs,
    });
    await it.pass(HOUR - 3 * MINUTE);
    expect([it.socket.closed, it.all('login_expiring').length]).toEqual([undefined, 1]);
  });

  it('is not renewed by none, another’s, an earlier or a refused one', async () => {
    const it = await jwt(10 * MINUTE);
    const token = { rights: [], issuedAtMs: it.startMs };
    it.logins.bearers.set('bob', { ...token, principal: 'bob', expiresAtMs: it.startMs + HOUR });
    it.logins.bearers.set('earlier', { ...token, principal: 'alice', expiresAtMs: it.startMs + MINUTE });
    it.logins.bearers.set('login', it.logins.create('a'));
    it.logins.bearers.set('bad rights', { ...token, rights: {}, principal: 'alice', expiresAtMs: it.startMs + HOUR });
    const codes = [];
    for (const access_token of [undefined, 'bob', 'earlier', 'login', 'bad rights', 'forged']) {
      const answer = await it.ask({ type: 'renew_login', access_token });
      codes.push(answer?.type === 'error' ? answer.code : answer?.type);
    }
    expect(codes).toEqual([
      'invalid_field',
      'principal_mismatch',
      'invalid_field',
      'principal_mismatch',
      'invalid_credential',
      'invalid_credential',
    ]);
    await it.pass(10 * MINUTE + LIMITS.renewalMarginMs + 2 * SECOND);
    expect(it.socket.closed).toMatchObject({ code: 4201 });
  });

  it('is not renewed by one from before its principal was disconnected', async () => {
    const it = await jwt(10 * MINUTE);
    const expiresAtMs = it.startMs + HOUR;
    it.logins.bearers.set('later', { principal: 'alice', rights: [], issuedAtMs: it.startMs, expiresAtMs });
    it.logins.marks.set('alice', it.startMs + 1);
    const answer = await it.ask({ type: 'renew_login', access_token: 'later' });
    expect(answer).toMatchObject({ code: 'invalid_credential' });
  });

  it('is judged by the one that it has now when its principal is disconnected', async () => {
    const it = await jwt(10 * MINUTE);
    const issuedAtMs = it.startMs + 2_000;
    const later = { principal: 'alice', rights: [], issuedAtMs, expiresAtMs: it.startMs + HOUR };
    it.logins.bearers.set('later', later);
    await it.ask({ type: 'renew_login', access_token: 'later' });
    const handle = principalHandle('alice');
    const read = async () => {
      const { reads } = it.control;
      while (it.control.reads < reads + 2) await turn();
    };
    await it.control.append({ kind: 'principal_disconnected', principalHandle: handle, notBeforeMs: issuedAtMs });
    await read();
    expect(it.socket.closed).toBeUndefined();
    await it.control.append({ kind: 'principal_disconnected', principalHandle: handle, notBeforeMs: issuedAtMs + 1 });
    await read();
    expect(it.socket.closed).toMatchObject({ code: 4001 });
  });

  it('is asked to renew a short one once, halfway', async () => {
    const it = await jwt(8 * SECOND);
    await it.pass(3 * SECOND);
    expect(it.all('login_expiring')).toEqual([]);
    await it.pass(3 * SECOND);
    expect(it.all('login_expiring')).toHaveLength(1);
  });
});
