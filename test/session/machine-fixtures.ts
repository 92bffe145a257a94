import { type Command, type StepContext } from '../../src/session/machine.js';
import { EMPTY_RECORD, type SessionRecord } from '../../src/session/record.js';

export const NOW_MS = 1_000_000;
export const timings = {
  maxSweepGapMs: 5_000,
  attemptWindowMs: 30_000,
  retentionMs: 3_600_000,
  handoverPatienceMs: 2_000,
  busyExtensionMs: 3_000,
};
export const context: StepContext = {
  nowMs: NOW_MS,
  nowUs: NOW_MS * 1_000,
  epochFloor: 0,
  lockValue: '',
  gapAtMs: 0,
  firstWatcher: '',
  timings,
};

export const owned: SessionRecord = {
  ...EMPTY_RECORD,
  state: 'owned',
  epoch: 7,
  rev: 3,
  connectionId: 'c_owner',
  nodeId: 'node-1',
  bootId: 'boot-1',
  principal: 'principal-1',
  deadlineMs: NOW_MS + 100,
  leaseMs: 400,
  tokenHash: 'current',
  consumedTokenHash: 'consumed',
  requestId: 'earlier',
};
export const held: SessionRecord = { ...owned, state: 'held' };
export const free: SessionRecord = { ...EMPTY_RECORD, epoch: 7, rev: 3, freedAtMs: NOW_MS - 500 };
export const records = { none: EMPTY_RECORD, free, owned, held };

export const caller = (connectionId: string) => ({
  sessionId: 'session',
  requestId: 'request',
  connectionId,
  nodeId: 'node-2',
  bootId: 'boot-2',
  principal: 'principal-1',
  principalRule: 'exact' as const,
  tokenHash: 'fresh',
  attemptHash: '',
  policy: 'next_subscriber' as const,
  leaseMs: 15_000,
  lockValue: '',
});
export const claim = (connectionId: string, mode: 'subscribe' | 'reestablish' = 'subscribe'): Command => ({
  verb: 'claim',
  request: { ...caller(connectionId), mode },
});
export const reclaim = (presentedTokenHash: string): Command => ({
  verb: 'reclaim',
  request: { ...caller('c_new'), presentedTokenHash, claimIfExpired: true },
});
const lease = { sessionId: 'session', connectionId: 'c_owner', epoch: 7 };
export const renew: Command = { verb: 'renew', lease, leaseMs: 15_000 };
export const hold: Command = { verb: 'hold', lease, holdMs: 30_000 };
const releasing = {
  requestId: 'request',
  reason: 'released',
  policy: 'next_subscriber',
  staysWatching: false,
} as const;
export const release: Command = { verb: 'release', request: { ...lease, ...releasing } };
export const transfer = (expectedEpoch: number, toConnectionId?: string): Command => ({
  verb: 'transfer',
  request: {
    sessionId: 'session',
    requestId: 'request',
    lockValue: 'mine',
    expectedEpoch,
    reason: 'transferred',
    target: toConnectionId === undefined ? undefined : caller(toConnectionId),
  },
});

/** The result of an outcome that has one among other things. */
export function resultOf(outcome: unknown): unknown {
  return typeof outcome === 'object' && outcome !== null && 'result' in outcome ? outcome.result : outcome;
}
