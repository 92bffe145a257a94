import type { Clock } from '../../lib/clock.js';
import type { PrincipalMarks } from '../../login/ports.js';
import { ExpiringMap } from './expiring-map.js';

/** Marks of one process. */
export class MemoryPrincipalMarks implements PrincipalMarks {
  readonly #marks: ExpiringMap<number>;

  constructor({ clock }: { clock: Clock }) {
    this.#marks = new ExpiringMap(() => clock.monotonicMs());
  }

  async set(principalHandle: string, notBeforeMs: number, ttlMs: number): Promise<void> {
    const latestMs = Math.max(this.#marks.get(principalHandle) ?? 0, notBeforeMs);
    this.#marks.set(principalHandle, latestMs, Math.max(this.#marks.leftMs(principalHandle), ttlMs));
  }

  async get(principalHandle: string): Promise<number> {
    return this.#marks.get(principalHandle) ?? 0;
  }
}
