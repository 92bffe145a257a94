import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Log } from '../../src/lib/log.js';
import {
  LiveLogins,
  type LiveLoginsOptions,
  type LoginStanding,
  type Registration,
} from '../../src/login/live-logins.js';
import type { LoginEndReason } from '../../src/login/ports.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeControlLog } from '../support/fake-control-log.js';
import { quietLogins, silent } from '../support/silent.js';

const POLL_MS = 10;

function newTouches(clock: FakeClock) {
  const calls: [handle: string, active: boolean][] = [];
  const state = { away: false, ended: undefined as LoginEndReason | undefined, endsAtMs: clock.wallMs() + 3_600_000 };
  const touch = async (handle: string, active: boolean): Promise<LoginStanding> => {
    calls.push([handle, active]);
    if (state.away) throw new Error('away');
    return state.ended === undefined ? { endsAtMs: state.endsAtMs } : { ended: state.ended };
  };
  return { calls, state, touch };
}

async function start(changes: Partial<LiveLoginsOptions> = {}) {
  const clock = new FakeClock();
  const control = new FakeControlLog();
  const touches = newTouches(clock);
  const notBeforeMs = async () => 0;
  const parts = { control, touch: touches.touch, notBeforeMs, clock, log: silent, telemetry: quietLogins };
  const options = { ...parts, pollEveryMs: POLL_MS, ...changes };
  const live = new LiveLogins(options);
  await live.start();
  onTestFinished(() => live.stop());
  return { live, clock, control, touches };
}

function bound(registration: Registration): string[] {
  const closes: string[] = [];
  registration.bind({ close: (reason) => closes.push(reason) });
  return closes;
}

describe('a login that ends', () => {
  it.each([
    ['revoked', 'revoked'],
    ['token_reuse', 'token_reuse'],
    ['logout', 'login_ended'],
    ['idle', 'login_ended'],
    ['max_age', 'login_ended'],
    ['expired', 'login_ended'],
  ] as const)('by %s closes its connections, and no other, with %s', async (reason, close) => {
    const { live, control } = await start();
    const both = [bound(live.register({ handle: 'a' })), bound(live.register({ handle: 'a' }))];
    const other = bound(live.register({ handle: 'b' }));
    const jwt = bound(live.register({ principalHandle: 'a', issuedAtMs: 0 }));
    await control.append({ kind: 'login_ended', handle: 'a', reason });
    await vi.waitFor(() => expect(both).toEqual([[close], [close]]));
    expect([other, jwt]).toEqual([[], []]);
  });

  it('before its connection is there is found in the registration', async () => {
    const { live, control } = await start();
    const registration = live.register({ handle: 'a' });
    await control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
    await vi.waitFor(() => expect(registration.ended).toBe('revoked'));
  });

  it('after its connection is gone reaches nobody', async () => {
    const { live, control } = await start();
    const registration = live.register({ handle: 'a' });
    const closes = bound(registration);
    registration.remove();
    await control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
    await sleep(5 * POLL_MS);
    expect(closes).toEqual([]);
  });

  it('closes also what leaves the register while it is closed', async () => {
    const { live, control } = await start();
    const closed: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const registration = live.register({ handle: 'a' });
      registration.bind({
        close() {
          closed.push(i);
          registration.remove();
        },
      });
    }
    await control.append({ kind: 'login_ended', handle: 'a', reason: 'logout' });
    await vi.waitFor(() => expect(closed).toEqual([0, 1, 2]));
  });
});

it('a disconnected principal loses the connections with older JWTs, not those of its logins', async () => {
  const { live, control } = await start();
  const old = bound(live.register({ principalHandle: 'p', issuedAtMs: 999 }));
  const renewed = live.register({ principalHandle: 'p', issuedAtMs: 999 });
  const kept = [bound(renewed), bound(live.register({ principalHandle: 'p', issuedAtMs: 1_000 }))];
  renewed.issuedAtMs = 1_001;
  const login = bound(live.register({ handle: 'p' }));
  await control.append({ kind: 'principal_disconnected', principalHandle: 'p', notBeforeMs: 1_000 });
  await vi.waitFor(() => expect(old).toEqual(['revoked']));
  expect([...kept, login]).toEqual([[], [], []]);
});

it('a disconnect of which no notice came closes them too, a minute later at most, by the mark in the store', async () => {
  const marks = new Map<string, number>();
  const asked: string[] = [];
  const notBeforeMs = async (principalHandle: string) => {
    asked.push(principalHandle);
    return marks.get(principalHandle) ?? 0;
  };
  const { live, clock } = await start({ notBeforeMs });
  const registration = live.register({ principalHandle: 'p', issuedAtMs: 999 });
  const closes = [bound(registration), bound(live.register({ principalHandle: 'p', issuedAtMs: 1_000 }))];
  marks.set('p', 1_000);
  registration.frame();
  clock.advance(60_000);
  registration.pong();
  registration.frame();
  await vi.waitFor(() => expect(closes).toEqual([['revoked'], []]));
  expect(asked).toEqual(['p']);
});

it('what was in the control log before the start is not read', async () => {
  const control = new FakeControlLog();
  await control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
  const { live } = await start({ control });
  const closes = bound(live.register({ handle: 'a' }));
  await vi.waitFor(() => expect(control.reads).toBeGreaterThan(2));
  expect(closes).toEqual([]);
});

it.each([
  ['for a moment', 4_000, []],
  ['for long', 6_000, ['control log not read']],
] as const)('a control log that is away %s closes nobody, and is caught up with', async (_, awayMs, told) => {
  const warnings: string[] = [];
  const log: Log = { ...silent, warn: (_, message) => warnings.push(message) };
  const { live, clock, control } = await start({ log });
  const closes = bound(live.register({ handle: 'a' }));
  control.away = true;
  clock.advance(awayMs);
  await control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
  const { reads } = control;
  await vi.waitFor(() => expect(control.reads).toBeGreaterThan(reads + 3));
  expect(closes).toEqual([]);
  control.away = false;
  await vi.waitFor(() => expect(closes).toEqual(['revoked']));
  expect(warnings).toEqual(told);
});

it.each(['between two polls', 'during one'])('polling ends with a stop %s', async (when) => {
  const { live, control } = await start();
  let go = () => {};
  if (when === 'during one') control.reading = new Promise((resolve) => (go = resolve));
  await vi.waitFor(() => expect(control.reads).toBeGreaterThan(0));
  live.stop();
  go();
  await sleep(2 * POLL_MS);
  const { reads } = control;
  await sleep(5 * POLL_MS);
  expect(control.reads).toBe(reads);
});

describe('activity', () => {
  it('is told at once, then at most once a minute for all connections of a login', async () => {
    const { live, clock, touches } = await start();
    const [one, two, other] = [
      live.register({ handle: 'a' }),
      live.register({ handle: 'a' }),
      live.register({ handle: 'b' }),
    ];
    for (let second = 0; second < 150; second += 1) {
      for (const registration of [one, two, other]) registration.frame();
      clock.advance(1_000);
    }
    expect(touches.calls.filter(([handle]) => handle === 'a')).toHaveLength(3);
    expect(touches.calls).toHaveLength(6);
  });

  it('of pongs alone is told as such; frames between two touches are told by the next', async () => {
    const { live, clock, touches } = await start();
    const registration = live.register({ handle: 'a' });
    registration.pong();
    clock.advance(1_000);
    registration.frame();
    clock.advance(60_000);
    registration.pong();
    clock.advance(60_000);
    registration.pong();
    expect(touches.calls).toEqual([
      ['a', false],
      ['a', true],
      ['a', false],
    ]);
  });

  it('of a JWT is nobody’s', async () => {
    const { live, touches } = await start();
    const registration = live.register({ principalHandle: 'p', issuedAtMs: 1 });
    registration.frame();
    registration.pong();
    expect(registration.look(Number.MAX_SAFE_INTEGER)).toBe(Number.POSITIVE_INFINITY);
    expect(touches.calls).toEqual([]);
  });

  it('that cannot be told closes nobody, is warned of once, and is told later', async () => {
    const warnings: string[] = [];
    const { live, clock, touches } = await start({ log: { ...silent, warn: (_, message) => warnings.push(message) } });
    const registration = live.register({ handle: 'a' });
    const closes = bound(registration);
    touches.state.away = true;
    registration.frame();
    for (let i = 0; i < 3; i += 1) {
      await sleep(1);
      clock.advance(60_000);
      registration.pong();
    }
    touches.state.away = false;
    await sleep(1);
    clock.advance(60_000);
    registration.pong();
    await sleep(1);
    expect(touches.calls.map(([, active]) => active)).toEqual([true, true, true, true, true]);
    expect([closes, warnings]).toEqual([[], ['activity of logins not recorded']]);
  });

  it('on a login that is over closes its connections, though no notice came', async () => {
    const { live, touches } = await start();
    const registration = live.register({ handle: 'a' });
    const closes = [bound(registration), bound(live.register({ handle: 'a' }))];
    touches.state.ended = 'revoked';
    registration.pong();
    await vi.waitFor(() => expect(closes).toEqual([['revoked'], ['revoked']]));
  });
});

describe('the end of a login’s time', () => {
  it('is asked for when it has come, and not before', async () => {
    const { live, clock, touches } = await start();
    const registration = live.register({ handle: 'a' });
    const closes = bound(registration);
    registration.learn({ endsAtMs: clock.wallMs() + 5_000 });
    expect(registration.look(clock.wallMs())).toBe(5_000);
    expect(touches.calls).toEqual([]);
    clock.advance(5_000);
    touches.state.ended = 'idle';
    registration.look(clock.wallMs());
    await vi.waitFor(() => expect(closes).toEqual(['login_ended']));
  });

  it('moves with what the store says', async () => {
    const { live, clock, touches } = await start();
    const registration = live.register({ handle: 'a' });
    registration.learn({ endsAtMs: clock.wallMs() });
    touches.state.endsAtMs = clock.wallMs() + 7_000;
    registration.look(clock.wallMs());
    await sleep(1);
    expect(registration.look(clock.wallMs())).toBe(7_000);
    expect(touches.calls).toHaveLength(1);
  });

  it('is asked for once a second while the store is away', async () => {
    const { live, clock, touches } = await start();
    const registration = live.register({ handle: 'a' });
    const closes = bound(registration);
    registration.learn({ endsAtMs: clock.wallMs() });
    touches.state.away = true;
    for (let i = 0; i < 20; i += 1) {
      expect(registration.look(clock.wallMs())).toBeGreaterThan(0);
      await sleep(0);
      clock.advance(100);
    }
    expect(touches.calls).toHaveLength(2);
    expect(closes).toEqual([]);
  });
});
