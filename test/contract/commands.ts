import fc from 'fast-check';
import type { Command } from '../../src/session/machine.js';
import type { ConnectionRef, PrincipalRule } from '../../src/session/ports.js';
import { hashOf, LONG_MS } from './harness.js';

/** What some connection tries next, before it is known what the store has answered so far. */
export type Act = {
  who: number;
  /** Lasts one millisecond, so that it has lapsed by the next act. */
  short: boolean;
  /** Somebody else has the session's lock meanwhile. */
  locked: boolean;
} & (
  | { verb: 'claim'; mode: 'subscribe' | 'claim' | 'handover' | 'reestablish'; attempt: number; oldestWatcher: boolean }
  | { verb: 'reclaim'; age: number; attempt: number; claimIfExpired: boolean; oldestWatcher: boolean }
  | { verb: 'renew'; stale: boolean }
  | { verb: 'hold'; stale: boolean }
  | { verb: 'release'; stale: boolean; staysWatching: boolean }
  | { verb: 'transfer'; stale: boolean; reason: 'forced' | 'transferred' | 'removed' }
  | { verb: 'repeat' }
);

const often = (yes: number, no: number) =>
  fc.oneof({ arbitrary: fc.constant(true), weight: yes }, { arbitrary: fc.constant(false), weight: no });

const who = fc.nat({ max: 3 });
/** 0 stands for none. */
const attempt = fc.nat({ max: 2 });
const common = { who, short: often(1, 4), locked: often(1, 6) };

export const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    verb: fc.constant('claim' as const),
    mode: fc.constantFrom('subscribe', 'claim', 'handover', 'reestablish'),
    attempt,
    oldestWatcher: fc.boolean(),
    ...common,
  }),
  fc.record({
    verb: fc.constant('reclaim' as const),
    age: fc.nat({ max: 2 }),
    attempt,
    claimIfExpired: fc.boolean(),
    oldestWatcher: fc.boolean(),
    ...common,
  }),
  fc.record({ verb: fc.constant('renew' as const), stale: often(1, 4), ...common }),
  fc.record({ verb: fc.constant('hold' as const), stale: often(1, 4), ...common }),
  fc.record({ verb: fc.constant('release' as const), stale: often(1, 4), staysWatching: fc.boolean(), ...common }),
  fc.record({
    verb: fc.constant('transfer' as const),
    stale: often(1, 4),
    reason: fc.constantFrom('forced', 'transferred', 'removed'),
    ...common,
  }),
  fc.record({ verb: fc.constant('repeat' as const), ...common }),
);

export const acts: fc.Arbitrary<Act[]> = fc.array(act, { minLength: 5, maxLength: 30 });

/** What an act is resolved against. */
export interface Progress {
  sessionId: string;
  /** The session's epoch and connection now. */
  epoch: number;
  connectionId: string;
  /** Hashes of the tokens that were given out, the newest last. */
  granted: string[];
  last: Command | undefined;
}

/** @param n the act's number, out of which ids and hashes are made: the same for every system that performs it */
export function commandOf(act: Act, n: number, progress: Progress): Command | undefined {
  if (act.verb === 'repeat') return progress.last;
  const { sessionId } = progress;
  const connection: ConnectionRef = { connectionId: `c_${act.who}`, nodeId: `node-${act.who % 2}`, bootId: 'boot-1' };
  const requestId = `${sessionId}/${n}`;
  const tokenHash = hashOf(requestId);
  const durationMs = act.short ? 1 : LONG_MS;
  const own = { principal: act.who < 2 ? 'principal-1' : `anon:${act.who}`, tokenHash, leaseMs: durationMs };
  const attemptHash = (number: number) => (number === 0 ? '' : hashOf(`attempt ${number}`));
  if (act.verb === 'claim' || act.verb === 'reclaim') {
    const rules = ['exact', 'exact', 'restore', 'replace'] as const satisfies PrincipalRule[];
    const request = {
      ...connection,
      ...own,
      sessionId,
      requestId,
      principalRule: rules[act.who] ?? 'exact',
      attemptHash: attemptHash(act.attempt),
      policy: act.oldestWatcher ? ('oldest_watcher' as const) : ('next_subscriber' as const),
      lockValue: '',
    };
    if (act.verb === 'claim') return { verb: 'claim', request: { ...request, mode: act.mode } };
    const presentedTokenHash = progress.granted.at(-1 - act.age) ?? hashOf('never given');
    return { verb: 'reclaim', request: { ...request, presentedTokenHash, claimIfExpired: act.claimIfExpired } };
  }
  const epoch = act.stale ? Math.max(progress.epoch - 1, 0) : progress.epoch;
  const lease = { sessionId, connectionId: act.who === 0 ? progress.connectionId : `c_${act.who}`, epoch };
  if (act.verb === 'renew') return { verb: 'renew', lease, leaseMs: durationMs };
  if (act.verb === 'hold') return { verb: 'hold', lease, holdMs: durationMs };
  if (act.verb === 'release') {
    const { staysWatching } = act;
    const policy = 'oldest_watcher';
    return { verb: 'release', request: { ...lease, requestId, reason: 'released', policy, staysWatching } };
  }
  const { reason } = act;
  const target = reason === 'removed' ? undefined : { ...connection, ...own, attemptHash: '' };
  return {
    verb: 'transfer',
    request: { sessionId, requestId, lockValue: 'not the holder', expectedEpoch: epoch, reason, target },
  };
}
