import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoginEndReason, LoginRecord, TouchLogin } from '../../src/login/ports.js';
import { testRedis } from '../support/redis.js';
import { type LoginHarness, loginRequest, presented } from './login-harness.js';
import { memoryLoginHarness } from './login-memory-harness.js';
import { redisLoginHarness } from './login-redis-harness.js';

/** Everything lasts a multiple of this, which is more than a sequence takes: the time of its calls decides nothing. */
const STEP_MS = 10_000;
const TIMINGS = { reuseIntervalMs: 3 * STEP_MS, retentionMs: 6 * STEP_MS };
const IDLE_MS = 12 * STEP_MS;
const MAX_MS = 40 * STEP_MS;

type Act =
  | { verb: 'age'; steps: number }
  /** `ahead` counts from the generation that the record has. */
  | { verb: 'present'; ahead: number; rotate: boolean; genuine: boolean }
  | { verb: 'touch'; active: boolean; endAfterSteps: number | undefined; attributes: string | undefined }
  | { verb: 'end'; reason: LoginEndReason }
  | { verb: 'create' };

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ verb: fc.constant('age' as const), steps: fc.constantFrom(1, 2, 3, 6, 12) }) },
    {
      weight: 9,
      arbitrary: fc.record({
        verb: fc.constant('present' as const),
        ahead: fc.constantFrom(0, 0, 0, -1, -1, -2, -2, -3, 1, 2),
        rotate: fc.boolean(),
        genuine: fc.constantFrom(true, true, true, true, false),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        verb: fc.constant('touch' as const),
        active: fc.boolean(),
        endAfterSteps: fc.constantFrom(undefined, undefined, 0, 5, 20, 60),
        attributes: fc.constantFrom(undefined, '{"a":1}'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        verb: fc.constant('end' as const),
        reason: fc.constantFrom<LoginEndReason>('logout', 'revoked', 'expired'),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ verb: 'create' as const }) },
  ),
  { minLength: 1, maxLength: 25 },
);

/** Times as steps since the login began; those of the two stores have nothing else in common. */
function seen(login: LoginRecord | undefined): object | undefined {
  if (login === undefined) return undefined;
  const { createdAtMs } = login;
  const steps = (atMs: number) => (atMs === 0 ? 'none' : Math.floor((atMs - createdAtMs) / STEP_MS));
  return {
    ...login,
    createdAtMs: 0,
    lastSeenAtMs: steps(login.lastSeenAtMs),
    expiresAtMs: steps(login.expiresAtMs),
    maxExpiresAtMs: steps(login.maxExpiresAtMs),
    endedAtMs: steps(login.endedAtMs),
  };
}

/** Time stands still in one of the stores while a sequence plays, so whether these move is no difference. */
const MOVING: ReadonlySet<string> = new Set(['last_seen_at', 'expires_at']);

function changesOf(fields: Readonly<Record<string, string>>): string {
  const names = Object.keys(fields).filter((name) => !MOVING.has(name));
  return names.sort().join(' ');
}

/** @returns everything that a caller could see */
async function play(
  harness: LoginHarness,
  request: ReturnType<typeof loginRequest>,
  sequence: readonly Act[],
): Promise<unknown[]> {
  const { store } = harness;
  const { handle, principalHandle } = request;
  const all: unknown[] = [];
  const note = (outcome: { login?: LoginRecord }) => all.push({ ...outcome, login: seen(outcome.login) });
  let { login } = await store.create(request);
  for (const act of sequence) {
    switch (act.verb) {
      case 'age':
        await harness.age(handle, act.steps * STEP_MS);
        break;
      case 'present': {
        const token = presented(request, Math.max(1, (login?.generation ?? 1) + act.ahead), act.rotate);
        note(await store.present(handle, act.genuine ? token : { ...token, tokenHash: 'another' }));
        break;
      }
      case 'touch': {
        const change: TouchLogin = { active: act.active };
        if (act.attributes !== undefined) change.attributes = act.attributes;
        if (act.endAfterSteps !== undefined) {
          change.expiresAtMs = (login?.createdAtMs ?? 0) + act.endAfterSteps * STEP_MS;
        }
        note(await store.touch(handle, change));
        break;
      }
      case 'end':
        note(await store.end(handle, act.reason));
        break;
      case 'create':
        note(await store.create({ ...request, tokenHash: 'another' }));
    }
    login = await store.read(handle);
    all.push(seen(login), (await store.list(principalHandle)).length);
  }
  const events = await store.events(handle);
  return [
    ...all,
    ...events.map(({ kind, fields }) => [kind, changesOf(fields)]).filter(([, changes]) => changes !== ''),
  ];
}

let memory: LoginHarness;
let redis: LoginHarness;

beforeAll(async () => {
  memory = await memoryLoginHarness(TIMINGS);
  redis = await redisLoginHarness(() => testRedis().url)(TIMINGS);
});

afterAll(() => Promise.all([memory.close(), redis.close()]));

test('the Redis scripts do what the state machine does', async () => {
  await fc.assert(
    fc.asyncProperty(acts, async (sequence) => {
      const request = loginRequest({ chosen: true, idleMs: IDLE_MS, maxMs: MAX_MS });
      expect(await play(redis, request, sequence)).toEqual(await play(memory, request, sequence));
    }),
    { numRuns: 300, interruptAfterTimeLimit: 8_000 },
  );
});
