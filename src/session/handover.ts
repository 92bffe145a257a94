import { logHandle } from '../crypto/hash.js';
import { handOver } from './acquisition.js';
import type { OwnershipEvent } from './ports.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

const MAX_TRIES = 5;
const RETRY_JITTER_MS = 100;

/** The policy `oldest_watcher`: when a session becomes free, each node tries for its oldest watcher; the store picks. */
export class HandedOver {
  readonly #node: SessionNode;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(node: SessionNode) {
    this.#node = node;
  }

  consider(event: OwnershipEvent): void {
    if (event.state !== 'free') return;
    if (this.#node.deps.settingsOf(event.sessionId).handoverPolicy !== 'oldest_watcher') return;
    // Who released on purpose does not get the session back at once.
    const leaves = event.reason === 'released' || event.reason === 'unsubscribed';
    const leaving = leaves ? event.previousConnectionId : '';
    this.#tryAfter(0, event.sessionId, leaving, 1);
  }

  /** For a watcher that an older one may still come before. */
  retryAfter(delayMs: number, sessionId: string): void {
    this.#tryAfter(delayMs, sessionId, '', 1);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #tryAfter(delayMs: number, sessionId: string, leaving: string, tries: number): void {
    clearTimeout(this.#timers.get(sessionId));
    const timer = setTimeout(
      () => {
        this.#timers.delete(sessionId);
        void this.#try(sessionId, leaving, tries);
      },
      delayMs === 0 ? 0 : delayMs + RETRY_JITTER_MS * Math.random(),
    );
    this.#timers.set(sessionId, timer.unref());
  }

  async #try(sessionId: string, leaving: string, tries: number): Promise<void> {
    const { hub, deps } = this.#node;
    if (hub.get(sessionId)?.view?.state !== 'free') return;
    const subscriber = this.#oldest(sessionId, leaving);
    if (subscriber === undefined) return;
    try {
      const outcome = await handOver(this.#node, subscriber, sessionId);
      const retries = outcome.result === 'not_next' || outcome.result === 'busy';
      if (retries && tries < MAX_TRIES) this.#tryAfter(outcome.retryAfterMs, sessionId, leaving, tries + 1);
    } catch (error) {
      deps.log.warn({ session: logHandle(sessionId), connection: subscriber.id, error }, 'session not handed over');
      if (tries < MAX_TRIES) this.#tryAfter(1_000, sessionId, leaving, tries + 1);
    }
  }

  #oldest(sessionId: string, leaving: string): Subscriber | undefined {
    for (const [subscriber, { wantsOwnership }] of this.#node.hub.get(sessionId)?.subscribers ?? []) {
      if (!wantsOwnership || !subscriber.open || subscriber.id === leaving) continue;
      if (this.#node.access.allows(subscriber, 'own', sessionId)) return subscriber;
    }
    return undefined;
  }
}
