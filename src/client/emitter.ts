/** Typed events. A listener that throws disturbs neither the client nor the other listeners. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();
  /** The event being told of, and those that its listeners caused: everybody hears them in the same order. */
  readonly #queue: (() => void)[] = [];

  /** @returns what takes the listener off again */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<E extends keyof Events>(event: E, value: Events[E]): void {
    const length = this.#queue.push(() => this.#tell(event, value));
    if (length > 1) return;
    for (; this.#queue.length > 0; this.#queue.shift()) this.#queue[0]?.();
  }

  #tell<E extends keyof Events>(event: E, value: Events[E]): void {
    const listeners = this.#listeners.get(event);
    for (const listener of Array.from(listeners ?? [])) {
      // Taken off by one before it.
      if (!listeners?.has(listener)) continue;
      try {
        (listener as (value: Events[E]) => void)(value);
      } catch (error) {
        // As an event target does: reported where uncaught errors go, after the client's own work is done.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
