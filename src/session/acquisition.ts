import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../protocol/errors.js';
import type { Stamp } from './leases.js';
import type { ClaimOutcome, ClaimRequest, ConnectionRef, ReclaimRequest } from './ports.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** Longer than the lock's time to live, so that a lock whose holder died is waited out. */
export const BUSY_WAIT_MS = 3_000;
const BUSY_POLL_MS = 25;
const UNKNOWN_POLL_MS = 250;

export interface Acquired {
  outcome: ClaimOutcome;
  /** The caller's reconnect token when it is the owner. */
  token: string;
  stamp: Stamp;
  requestId: string;
}

/** One client's wish for one session. */
export interface Wish {
  subscriber: Subscriber;
  sessionId: string;
  mode: ClaimRequest['mode'];
  attemptId: string | undefined;
  /** A genuine token to take the session back with. */
  presentedToken?: string;
  claimIfExpired?: boolean;
}

/** Asks again for as long as the answer is not known, and for no longer than what it may have granted lasts. */
export async function untilAnswered<T>(
  node: SessionNode,
  subscriber: Subscriber,
  leaseMs: number,
  ask: () => Promise<T>,
) {
  const giveUpAtMs = node.deps.clock.monotonicMs() + leaseMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isUnknown = error instanceof HoldfastError && error.code === 'store_unavailable';
      if (!isUnknown || !subscriber.open || node.deps.clock.monotonicMs() >= giveUpAtMs) throw error;
      await sleep(UNKNOWN_POLL_MS);
    }
  }
}

/**
 * Asks the store, and waits out another's lock. Of several tries only the one that succeeds changes anything. Where the
 * application decides who may own, it is asked first, under the lock for who comes first.
 * @throws HoldfastError `forbidden` when it says no to more than a subscription, which goes on as a watcher's;
 * `application_unavailable`, `session_busy`, `store_unavailable`
 */
export async function acquire(node: SessionNode, wish: Wish): Promise<Acquired> {
  const { access, deps } = node;
  const { subscriber, sessionId, presentedToken } = wish;
  const approve = async (lockValue: string) => {
    await access.ensure(subscriber, sessionId, 'own');
    await access.ensure(subscriber, sessionId);
    if (!access.allows(subscriber, 'watch', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to watch this session');
    }
    if (access.allows(subscriber, 'own', sessionId)) return askFor(node, wish, requestOf(node, wish, lockValue));
    if (wish.mode === 'subscribe' && presentedToken === undefined) return unclaimed(node, sessionId);
    throw new HoldfastError('forbidden', 'no right to own this session');
  };
  if (!access.mustAsk(subscriber, 'own', sessionId)) return approve('');
  // Many may come to watch a session that has an owner: only who may become the owner keeps others waiting.
  const canBeTaken = presentedToken !== undefined || (await deps.store.read(sessionId)).state === 'free';
  if (!canBeTaken) return approve('');
  let isFirst = false;
  const approveFirst = (lockValue: string) => {
    isFirst = true;
    return approve(lockValue);
  };
  return deps.lock.withLock(sessionId, 0, approveFirst).catch((error: unknown) => {
    if (isFirst) throw error;
    // Somebody else is asked about: this one's answer is fetched meanwhile, and its claim waits for the lock.
    return approve('');
  });
}

/** The session as a watcher finds it. `watcher`: is to be put on the list for `oldest_watcher`. */
export async function unclaimed(node: SessionNode, sessionId: string, watcher?: ConnectionRef): Promise<Acquired> {
  const stamp = node.leases.stamp();
  const view = await node.deps.store.read(sessionId, watcher);
  const { stream } = view;
  const refused = {
    result: 'unclaimed',
    replayed: false,
    tokenExpired: false,
    tokenHash: '',
    retryAfterMs: 0,
  } as const;
  return { outcome: { ...refused, view, stream }, token: '', stamp, requestId: '' };
}

/**
 * For a watcher that did not ask: the event that makes it the owner brings the token, so that an answer that gets lost
 * would leave an owner without a lease. The same request is sent until it is answered.
 */
export async function handOver(node: SessionNode, subscriber: Subscriber, sessionId: string): Promise<ClaimOutcome> {
  const wish: Wish = { subscriber, sessionId, mode: 'handover', attemptId: undefined };
  const prepared = requestOf(node, wish);
  const { requestId } = prepared.request;
  // Of the first time that it is sent: that may be the one that took effect.
  const stamp = node.leases.stamp();
  node.hub.promise(requestId, prepared.token);
  try {
    const { leaseMs } = prepared.request;
    const { outcome } = await untilAnswered(node, subscriber, leaseMs, () => askFor(node, wish, prepared));
    if (outcome.result === 'owned') {
      const { view, tokenHash } = outcome;
      node.grant(subscriber, sessionId, { view, tokenHash, stamp, reason: 'handed_over', requestId });
    }
    return outcome;
  } finally {
    node.hub.forgetPromise(requestId);
  }
}

interface Prepared {
  request: Request;
  token: string;
}

function requestOf(node: SessionNode, wish: Wish, lockValue = ''): Prepared {
  const { tokens } = node.deps;
  const { subscriber, sessionId, attemptId } = wish;
  const presented = wish.presentedToken ?? '';
  const settings = node.deps.settingsOf(sessionId);
  const token = tokens.next(sessionId, subscriber.principal, presented, attemptId);
  const requestId = crypto.randomUUID();
  const request = {
    ...node.refOf(subscriber),
    sessionId,
    requestId,
    principal: subscriber.principal,
    principalRule: node.principalRuleOf(subscriber),
    tokenHash: tokens.hash(token),
    attemptHash: tokens.hashAttempt(sessionId, attemptId),
    policy: settings.handoverPolicy,
    leaseMs: settings.leaseMs,
    lockValue,
  };
  return { request, token };
}

async function askFor(node: SessionNode, wish: Wish, { request, token }: Prepared): Promise<Acquired> {
  const { clock } = node.deps;
  const giveUpAtMs = clock.monotonicMs() + BUSY_WAIT_MS;
  for (;;) {
    const stamp = node.leases.stamp();
    const startedMs = clock.monotonicMs();
    const outcome = await ask(node, request, wish, startedMs);
    if (outcome.result !== 'busy' || clock.monotonicMs() >= giveUpAtMs || !wish.subscriber.open) {
      return { outcome, token: tokenOf(node, wish, token, outcome), stamp, requestId: request.requestId };
    }
    await sleep(BUSY_POLL_MS * (1 + Math.random() * 3));
  }
}

type Request = Omit<ClaimRequest, 'mode'>;

async function ask(node: SessionNode, request: Request, wish: Wish, startedMs: number): Promise<ClaimOutcome> {
  const { store, clock, telemetry, tokens } = node.deps;
  const durationMs = () => clock.monotonicMs() - startedMs;
  if (wish.presentedToken === undefined) {
    try {
      const outcome = await store.claim({ ...request, mode: wish.mode });
      telemetry.claimed(outcome.result, durationMs());
      return outcome;
    } catch (error) {
      telemetry.claimed('error', durationMs());
      throw error;
    }
  }
  try {
    const reclaim: ReclaimRequest = {
      ...request,
      presentedTokenHash: tokens.hash(wish.presentedToken),
      claimIfExpired: wish.claimIfExpired ?? false,
    };
    const outcome = await store.reclaim(reclaim);
    telemetry.reclaimed(outcome.tokenExpired ? 'expired' : outcome.result, durationMs());
    return outcome;
  } catch (error) {
    telemetry.reclaimed('error', durationMs());
    throw error;
  }
}

/** The token that the record knows: after a replay the one that the attempt was given first. */
function tokenOf(node: SessionNode, wish: Wish, minted: string, outcome: ClaimOutcome): string {
  if (outcome.result !== 'owned' || !outcome.replayed) return minted;
  const { sessionId, subscriber, attemptId = '', presentedToken = '' } = wish;
  const { tokens } = node.deps;
  const given = tokens.successor(outcome.tokenHash, sessionId, subscriber.principal, presentedToken, attemptId);
  if (given === undefined) {
    throw new HoldfastError(
      'reconnect_token_used',
      'this attempt was answered under a secret that is no longer configured',
    );
  }
  return given;
}
