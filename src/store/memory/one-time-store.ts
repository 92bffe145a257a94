import type { Clock } from '../../lib/clock.js';
import type { OneTimeStore } from '../../login/ports.js';
import { ExpiringMap } from './expiring-map.js';

type Kind = Parameters<OneTimeStore['take']>[0];

/** Tickets and login codes of one process. */
export class MemoryOneTimeStore implements OneTimeStore {
  readonly #values: Readonly<Record<Kind, ExpiringMap<string>>>;

  constructor({ clock }: { clock: Clock }) {
    const now = () => clock.monotonicMs();
    this.#values = { ticket: new ExpiringMap(now), code: new ExpiringMap(now) };
  }

  async put(kind: Kind, hash: string, value: string, ttlMs: number): Promise<void> {
    this.#values[kind].set(hash, value, ttlMs);
  }

  async take(kind: Kind, hash: string): Promise<string | undefined> {
    const value = this.#values[kind].get(hash);
    this.#values[kind].delete(hash);
    return value;
  }
}
