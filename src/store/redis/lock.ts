import { setTimeout as sleep } from 'node:timers/promises';
import Redlock from 'redlock';
import type { GrantLock } from '../../login/ports.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { SessionLock } from '../../session/ports.js';
import type { RedisConnection } from './client.js';
import { messageOf, unavailable } from './errors.js';
import type { Keys } from './keys.js';

const TTL_MS = 2000;
const EXTEND_EVERY_MS = 600;
const MIN_POLL_MS = 20;
const MAX_POLL_MS = 100;

/** What a lock is for. */
export interface LockSubject {
  key(keys: Keys, id: string): string;
  /** Told to who waited in vain. */
  busy(): HoldfastError;
  /** For the log. */
  lost: string;
}

const SESSION: LockSubject = {
  key: (keys, sessionId) => keys.lock(sessionId),
  busy: () => new HoldfastError('session_busy', 'another operation on this session is under way'),
  lost: 'session lock lost while in use',
};

/** For grants at other providers. */
export const UPSTREAM: LockSubject = {
  key: (keys, handle) => keys.upstreamLock(handle),
  busy: () => new HoldfastError('upstream_busy', 'another request for this grant is under way'),
  lost: 'upstream lock lost while in use',
};

/**
 * One lock per session, or per what `subject` says, on Redlock with one server. It orders work and makes nothing safe:
 * a lock that was lost, to a failover or a pause, does not stop the work, whose commits compare epoch or generation.
 */
export class RedisLock implements SessionLock, GrantLock {
  readonly #connection: RedisConnection;
  readonly #subject: LockSubject;

  constructor(connection: RedisConnection, subject: LockSubject = SESSION) {
    this.#connection = connection;
    this.#subject = subject;
  }

  async withLock<T>(id: string, waitMs: number, work: (value: string) => Promise<T>): Promise<T> {
    const lock = await this.#acquire(this.#subject.key(this.#connection.keys, id), waitMs);
    const extending = new AbortController();
    const extended = this.#keepExtending(lock, extending.signal);
    try {
      return await work(lock.value ?? '');
    } finally {
      extending.abort();
      await extended;
      // Best effort: what cannot be released, or is no longer ours, ends by its TTL.
      await lock.unlock().catch(() => {});
    }
  }

  async #acquire(key: string, waitMs: number): Promise<Redlock.Lock> {
    const client = this.#connection.commands as unknown as Redlock.CompatibleRedisClient;
    // One per call, because it reports a failed command apart from the attempt that sent it. It never retries: the
    // loop below does, with a bound in time.
    const redlock = new Redlock([client], { retryCount: 0 });
    let failure: unknown;
    redlock.on('clientError', (error) => {
      failure = error;
    });
    const untilMs = performance.now() + waitMs;
    for (;;) {
      failure = undefined;
      try {
        return await redlock.acquire(key, TTL_MS);
      } catch {
        const pollMs = MIN_POLL_MS + Math.random() * (MAX_POLL_MS - MIN_POLL_MS);
        if (performance.now() + pollMs > untilMs) break;
        await sleep(pollMs);
      }
    }
    if (failure !== undefined) throw unavailable(failure);
    throw this.#subject.busy();
  }

  async #keepExtending(lock: Redlock.Lock, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(EXTEND_EVERY_MS, undefined, { signal });
        await lock.extend(TTL_MS);
      }
    } catch (error) {
      if (!signal.aborted) this.#connection.log.warn({ error: messageOf(error) }, this.#subject.lost);
    }
  }
}
