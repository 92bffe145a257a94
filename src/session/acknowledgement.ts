import { HoldfastError } from '../protocol/errors.js';
import type { ClaimAck } from '../protocol/messages.js';
import type { Acquired } from './acquisition.js';
import type { SessionView } from './ports.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** What is told of a session to whom asked for it. `token`: to its owner only. */
export function acknowledgementOf(
  node: SessionNode,
  sessionId: string,
  view: SessionView,
  token: string | undefined,
): Omit<ClaimAck, 'type' | 'id'> {
  return {
    session_id: sessionId,
    owner: token !== undefined,
    state: view.state,
    owner_epoch: view.epoch,
    rev: view.rev,
    grace_ms: node.deps.settingsOf(sessionId).graceMs,
    ...(token !== undefined && { reconnect_token: token }),
    ...node.hub.publicPart(sessionId, view),
  };
}

/** The acknowledgement told of a state that events, which came first, had already passed. */
export function tellOvertaken(node: SessionNode, subscriber: Subscriber, sessionId: string, wasOwner = true): void {
  const view = node.hub.get(sessionId)?.view;
  if (view === undefined) return;
  if (wasOwner) {
    subscriber.send({ type: 'ownership_lost', session_id: sessionId, reason: 'resynced', owner_epoch: view.epoch });
  }
  subscriber.send(node.hub.messageOf(sessionId, view, 'resynced'));
}

/** Why a claim did not make the caller the owner. */
export function refusalOf({ outcome }: Acquired): HoldfastError {
  const { result, view, retryAfterMs } = outcome;
  if (result === 'token_used')
    return new HoldfastError('reconnect_token_used', 'the reconnect token was used by another connection');
  if (result === 'busy')
    return new HoldfastError('session_busy', 'the session is being handed over', { retryAfterMs: 500 });
  if (result === 'not_next') return new HoldfastError('session_held', 'an older watcher comes first', { retryAfterMs });
  if (view.state === 'owned') return new HoldfastError('session_owned', 'another connection owns the session');
  return new HoldfastError('session_held', 'the session is held for its owner', {
    retryAfterMs: Math.max(0, view.deadlineMs - view.nowMs),
  });
}
