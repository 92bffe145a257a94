import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../../protocol/errors.js';
import type { SessionLock } from '../../session/ports.js';

interface HeldLock {
  value: string;
  waiters: Set<() => void>;
}

/** One mutex a session, first come, first served; it exists only while it is held. */
export class MemoryLock implements SessionLock {
  readonly #locks = new Map<string, HeldLock>();

  async withLock<T>(sessionId: string, waitMs: number, work: (value: string) => Promise<T>): Promise<T> {
    const value = randomUUID();
    const held = this.#locks.get(sessionId);
    if (held === undefined) this.#locks.set(sessionId, { value, waiters: new Set() });
    else await this.#turn(held, waitMs, value);
    try {
      return await work(value);
    } finally {
      this.#passOn(sessionId);
    }
  }

  /** The value that `withLock` gave to the work under way; empty when the session is not locked. */
  holder(sessionId: string): string {
    return this.#locks.get(sessionId)?.value ?? '';
  }

  #turn(lock: HeldLock, waitMs: number, value: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        clearTimeout(timer);
        lock.value = value;
        resolve();
      };
      const timer = setTimeout(() => {
        lock.waiters.delete(enter);
        reject(new HoldfastError('session_busy', 'another operation on this session is under way'));
      }, waitMs);
      lock.waiters.add(enter);
    });
  }

  /** Hands the lock over without letting go of it, so that nobody slips in before the one that waited. */
  #passOn(sessionId: string): void {
    const lock = this.#locks.get(sessionId);
    for (const enter of lock?.waiters ?? []) {
      lock?.waiters.delete(enter);
      enter();
      return;
    }
    this.#locks.delete(sessionId);
  }
}
