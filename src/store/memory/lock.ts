import { randomUUID } from 'node:crypto';
import type { GrantLock } from '../../login/ports.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { SessionLock } from '../../session/ports.js';

interface HeldLock {
  value: string;
  waiters: Set<() => void>;
}

const sessionBusy = () => new HoldfastError('session_busy', 'another operation on this session is under way');

/** For grants at other providers. */
export const upstreamBusy = () => new HoldfastError('upstream_busy', 'another request for this grant is under way');

/** One mutex a session, or whatever has an id; first come, first served. It exists only while it is held. */
export class MemoryLock implements SessionLock, GrantLock {
  readonly #locks = new Map<string, HeldLock>();
  readonly #busy: () => HoldfastError;

  /** @param busy told to who waited in vain */
  constructor(busy: () => HoldfastError = sessionBusy) {
    this.#busy = busy;
  }

  async withLock<T>(id: string, waitMs: number, work: (value: string) => Promise<T>): Promise<T> {
    const value = randomUUID();
    const held = this.#locks.get(id);
    if (held === undefined) this.#locks.set(id, { value, waiters: new Set() });
    else await this.#turn(held, waitMs, value);
    try {
      return await work(value);
    } finally {
      this.#passOn(id);
    }
  }

  /** The value that `withLock` gave to the work under way; empty when there is none. */
  holder(id: string): string {
    return this.#locks.get(id)?.value ?? '';
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
        reject(this.#busy());
      }, waitMs);
      lock.waiters.add(enter);
    });
  }

  /** Hands the lock over without letting go of it, so that nobody slips in before the one that waited. */
  #passOn(id: string): void {
    const lock = this.#locks.get(id);
    for (const enter of lock?.waiters ?? []) {
      lock?.waiters.delete(enter);
      enter();
      return;
    }
    this.#locks.delete(id);
  }
}
