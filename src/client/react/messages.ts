import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { Message } from '../index.js';
import { DEFAULT_LIMIT, lastOf, logOf } from './message-log.js';
import { type SessionTarget, useTarget } from './session.js';

export interface UseMessagesOptions {
  /** How many messages, the newest. Default 200. */
  limit?: number;
}

const NONE: readonly Message[] = [];
const none = () => NONE;

/**
 * The last messages of a session, oldest first: an array that is never changed, and another one at most once a frame.
 * Of a session that is named by its id they are kept from its subscription on, 200 or the largest `limit` so far, also
 * for components that are mounted later; of one that the application made itself, from the mount on. Messages that are
 * no longer kept at the gateway are missing before the one whose `gap` is true.
 */
export function useMessages<Received = unknown>(
  target: SessionTarget<Received>,
  { limit = DEFAULT_LIMIT }: UseMessagesOptions = {},
): readonly Message<Received>[] {
  const session = useTarget(target);
  const log = session && logOf(session);
  const subscribe = useCallback((changed: () => void) => log?.subscribe(limit, changed) ?? (() => {}), [log, limit]);
  const messages = useSyncExternalStore(subscribe, () => log?.messages ?? NONE, none);
  return useMemo(() => lastOf(messages, limit) as readonly Message<Received>[], [messages, limit]);
}
