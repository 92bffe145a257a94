/** Typed events. A listener that throws disturbs neither the client nor the other listeners. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** @returns what takes the listener off again */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const listener of Array.from(this.#listeners.get(event) ?? [])) {
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
