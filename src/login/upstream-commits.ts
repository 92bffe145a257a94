import { setTimeout as sleep } from 'node:timers/promises';
import { equalJitterMs } from '../lib/backoff.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { UpstreamGrants } from './ports.js';

const MAX_UNSTORED = 1_000;
const STORE_WITHIN_MS = 60_000;
const FIRST_DELAY_MS = 50;
/** Below what another node waits before it repeats a request that seems to have been lost. */
const MAX_DELAY_MS = 500;

/** What a provider answered to the request that was begun at `generation`. */
export interface UpstreamAnswer<T> {
  handle: string;
  generation: number;
  sealedSecret: string;
  sealedAccess: string;
  token: T;
}

/**
 * Stores answers. One that the store cannot take now holds the only refresh token that still counts: it is kept in
 * memory, offered to the store for up to a minute, and served from here meanwhile.
 */
export class UpstreamCommits<T> {
  readonly #grants: UpstreamGrants;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #unstored = new Map<string, UpstreamAnswer<T>>();
  readonly #storing = new Set<Promise<void>>();

  constructor({ grants, clock, log }: { grants: UpstreamGrants; clock: Clock; log: Log }) {
    this.#grants = grants;
    this.#clock = clock;
    this.#log = log;
  }

  /** The token of an answer that the store does not have yet. */
  unstored(handle: string): T | undefined {
    return this.#unstored.get(handle)?.token;
  }

  /** @returns false when another answer or another grant came before */
  async commit(answer: UpstreamAnswer<T>): Promise<boolean> {
    try {
      return await this.#grants.commit(answer.handle, answer.generation, answer);
    } catch {}
    const { handle } = answer;
    if (this.#unstored.size >= MAX_UNSTORED) {
      this.#log.error({ login: handle }, 'upstream refresh token lost: too many wait for the store');
      return true;
    }
    this.#log.warn({ login: handle }, 'upstream answer not stored yet');
    this.#unstored.set(handle, answer);
    const storing = this.#keepStoring(answer).finally(() => {
      this.#storing.delete(storing);
      this.forget(handle, answer);
    });
    this.#storing.add(storing);
    return true;
  }

  /** Another grant took the place of the one that was answered for. */
  forget(handle: string, answer = this.#unstored.get(handle)): void {
    if (answer === this.#unstored.get(handle)) this.#unstored.delete(handle);
  }

  /** Resolves when every answer is stored or lost. */
  async settled(): Promise<void> {
    await Promise.all(this.#storing);
  }

  async #keepStoring(answer: UpstreamAnswer<T>): Promise<void> {
    const { handle, generation } = answer;
    const untilMs = this.#clock.monotonicMs() + STORE_WITHIN_MS;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      await sleep(equalJitterMs(delayMs));
      if (this.#unstored.get(handle) !== answer) return;
      try {
        const stored = await this.#grants.commit(handle, generation, answer);
        if (stored) this.#log.info({ login: handle }, 'upstream answer stored late');
        else this.#log.warn({ login: handle }, 'upstream answer dropped: the grant was replaced or is gone');
        return;
      } catch {
        if (this.#clock.monotonicMs() < untilMs) continue;
        this.#log.error({ login: handle }, 'upstream refresh token lost: the store did not take it in time');
        return;
      }
    }
  }
}
