const MAX_WATCHERS = 128;

/** Who waits for a session under `oldest_watcher`, oldest first, at most 128 a session. */
export class Watchers {
  readonly #sessions = new Map<string, Set<string>>();

  /** The oldest one's connection id; empty when nobody waits. */
  first(sessionId: string): string {
    for (const connectionId of this.#sessions.get(sessionId) ?? []) return connectionId;
    return '';
  }

  /** Goes to the end of the list; who is on it keeps its place, and a full list stays as it is. */
  add(sessionId: string, connectionId: string): void {
    const list = this.#sessions.get(sessionId);
    if (list === undefined) this.#sessions.set(sessionId, new Set([connectionId]));
    else if (list.size < MAX_WATCHERS) list.add(connectionId);
  }

  remove(sessionId: string, connectionId: string): void {
    const list = this.#sessions.get(sessionId);
    list?.delete(connectionId);
    if (list?.size === 0) this.#sessions.delete(sessionId);
  }
}
