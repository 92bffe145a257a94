import { microtask } from '../../lib/microtask.js';
import type { SessionBus, SessionEvent } from '../../session/ports.js';

/** The bus of a single node: nothing is ever lost, so there are no gaps. Delivers in order, and never within the call. */
export class MemoryBus implements SessionBus {
  readonly #subscribed = new Set<string>();
  #queue: SessionEvent[] = [];
  #listener: ((event: SessionEvent) => void) | undefined;
  #closed = false;

  async subscribe(sessionId: string): Promise<void> {
    this.#subscribed.add(sessionId);
  }

  async unsubscribe(sessionId: string): Promise<void> {
    this.#subscribed.delete(sessionId);
  }

  async publish(event: SessionEvent): Promise<void> {
    if (this.#closed || !this.#subscribed.has(event.sessionId)) return;
    this.#queue.push(event);
    // A message need not wait for what its store answers; what gathers the messages of a turn does so behind this.
    if (event.kind === 'messages') microtask(() => this.#deliver());
    else if (this.#queue.length === 1) setImmediate(() => this.#deliver());
  }

  onEvent(listener: (event: SessionEvent) => void): void {
    this.#listener = listener;
  }

  onGap(_listener: () => void): void {}

  healthy(): boolean {
    return !this.#closed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscribed.clear();
    this.#queue = [];
  }

  #deliver(): void {
    const events = this.#queue;
    this.#queue = [];
    for (const event of events) this.#listener?.(event);
  }
}
