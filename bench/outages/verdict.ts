import { VERBS, type Verb, type VerbFigures } from './calls.js';
import type { Findings, Ledger } from './ledger.js';
import { REFUSED } from './line.js';
import type { Stored } from './load.js';

/** From when Redis takes writes again until everything that needs it works again. */
export const RECOVERY_MS = 10_000;
/** An overloaded machine, which this one may be, refuses new connections whatever Redis does. */
const RETRYABLE = new Set(['store_unavailable', REFUSED]);
/** A clock that is read before a call and a kill that follows it are not at the same moment. */
const ROUNDING_MS = 50;

export interface Loss {
  /** Of acknowledged messages. */
  acknowledged: number;
  lost: number;
  /** Lost, though acknowledged before what the set-up may lose. */
  lostTooMany: number;
  doubled: number;
  reordered: number;
}

export interface Check {
  what: string;
  measured: number;
  /** At most. */
  allowed: number;
}

export interface Evidence {
  ledger: Ledger;
  verbs: Record<Verb, VerbFigures>;
  early: Record<string, number>;
  /** Callers for whom nothing worked again in a minute. */
  failing: number;
  stored: ReadonlyMap<string, Stored>;
  /** Subscriptions that never got to where the store is. */
  behind: number;
  faultMs: number;
  /** From the fault until Redis took writes again, or a planned change was done. */
  redisMs: number;
  mayLoseMs: number;
}

/** Compares what was acknowledged with what the store has. */
export function lossOf({ ledger, stored, faultMs, mayLoseMs }: Evidence): Loss {
  const loss: Loss = { acknowledged: 0, lost: 0, lostTooMany: 0, doubled: 0, reordered: 0 };
  for (const [session, { said }] of stored) {
    const seen = new Map<string, Set<number>>();
    const last = new Map<string, number>();
    for (const { author, n } of said) {
      const numbers = seen.get(author) ?? new Set<number>();
      seen.set(author, numbers);
      if (numbers.has(n)) loss.doubled += 1;
      else if (n < (last.get(author) ?? 0)) loss.reordered += 1;
      numbers.add(n);
      last.set(author, n);
    }
    for (const [author, times] of ledger.acknowledged.get(session) ?? []) {
      loss.acknowledged += times.length;
      for (const [i, atMs] of times.entries()) {
        if (seen.get(author)?.has(i + 1)) continue;
        loss.lost += 1;
        if (!isExcused(atMs, faultMs, mayLoseMs)) loss.lostTooMany += 1;
      }
    }
  }
  return loss;
}

/** All that must hold. A check is broken when more was measured than is allowed. */
export function checksOf(evidence: Evidence, loss: Loss): Check[] {
  const { ledger, verbs, early, failing, behind, faultMs, redisMs, mayLoseMs } = evidence;
  const { findings } = ledger;
  const none = (what: string, measured: number): Check => ({ what, measured, allowed: 0 });
  const found = (what: string, name: keyof Findings) => none(what, findings[name]);
  const isLossy = mayLoseMs > 0;
  const lostOwners = ledger.lostOwners.filter(({ grantedMs }) => !isExcused(grantedMs, faultMs, mayLoseMs));
  const otherErrors = VERBS.flatMap((verb) => Object.entries(verbs[verb].errors))
    .filter(([code]) => !RETRYABLE.has(code))
    .reduce((sum, [, times]) => sum + times, 0);
  const slowest = Math.max(...VERBS.map((verb) => verbs[verb].allOkMs));
  return [
    none('calls that failed before the fault', sum(early)),
    none('errors other than store_unavailable', otherErrors),
    none('verbs that never worked again', VERBS.filter((verb) => verbs[verb].firstOkMs === undefined).length),
    none('callers that still failed at the end', failing),
    {
      what: 'ms from Redis back to all calls ok',
      measured: Math.max(0, Math.round(slowest - redisMs)),
      allowed: RECOVERY_MS,
    },
    found('sockets closed', 'socket closed'),
    none('acknowledged messages lost beyond what may be', loss.lostTooMany),
    none('messages stored twice', loss.doubled),
    none('messages stored out of order', loss.reordered),
    found('messages skipped for a watcher that was not told', 'message skipped'),
    found('messages delivered twice', 'message doubled'),
    found('messages delivered out of order', 'message reordered'),
    none('watchers that missed the end', behind),
    ...(isLossy ? [] : [found('resets without recovery', 'reset, not recovered')]),
    none('owners lost beyond what may be', lostOwners.length),
    found('owners told lease_unconfirmed', 'lease unconfirmed'),
    found('two owners at one epoch', 'two owners'),
    found('epochs that went back', 'epoch went back'),
    found('logins ended', 'logged out'),
  ];
}

/** Whether what was acknowledged then may be lost: shortly before the fault. What came later met another master. */
function isExcused(atMs: number, faultMs: number, mayLoseMs: number): boolean {
  return mayLoseMs > 0 && atMs > faultMs - mayLoseMs && atMs < faultMs + ROUNDING_MS;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, times) => total + times, 0);
}
