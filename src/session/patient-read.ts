import { setTimeout as sleep } from 'node:timers/promises';
import { logHandle } from '../crypto/hash.js';
import { fullJitterMs } from '../lib/backoff.js';
import type { Log } from '../lib/log.js';
import type { HistoryRange, HistoryRead, MessageStore } from './message-ports.js';

const BACKOFF = { baseMs: 50, capMs: 5_000 };

/**
 * Reads a session's history, again and again while the store is away, for as long as it is wanted. A session without
 * a position gets its first, so that there is one to go on from.
 * @returns undefined when it is no longer wanted
 */
export async function readPatiently(
  { messages, log }: { messages: MessageStore; log: Log },
  sessionId: string,
  range: HistoryRange,
  limit: number,
  isWanted: () => boolean,
): Promise<HistoryRead | undefined> {
  for (let failures = 0; isWanted(); failures++) {
    try {
      const read = await messages.read(sessionId, range, limit);
      if (read.state.epoch !== '') return isWanted() ? read : undefined;
      const [state] = await messages.states([sessionId]);
      // Its messages, should it have any by now, are for the next read.
      if (state !== undefined) return isWanted() ? { state, entries: [] } : undefined;
    } catch (error) {
      if (failures === 0) log.warn({ session: logHandle(sessionId), error }, 'history not read; trying again');
    }
    await sleep(BACKOFF.baseMs + fullJitterMs(failures, BACKOFF), undefined, { ref: false });
  }
  return undefined;
}
