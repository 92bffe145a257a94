const SECOND_MS = 1_000;
const PRUNE_ABOVE = 1_000;

/** How much each session's owners may send: so many messages a second, as many of them at once. */
export class SendQuota {
  /** When what was sent so far is paid off; a point in the past is as good as none. Not of a lease: taken anew, it would begin anew. */
  readonly #paidAtMs = new Map<string, number>();
  #pruneAbove = PRUNE_ABOVE;

  /** Counts a message unless it is one too many. @returns in how many ms it would not be; 0 when counted */
  take(sessionId: string, perSecond: number, nowMs: number): number {
    const paidAtMs = Math.max(this.#paidAtMs.get(sessionId) ?? nowMs, nowMs) + SECOND_MS / perSecond;
    const excessMs = Math.ceil(paidAtMs - nowMs - SECOND_MS);
    if (excessMs > 0) return excessMs;
    this.#paidAtMs.set(sessionId, paidAtMs);
    if (this.#paidAtMs.size > this.#pruneAbove) this.#prune(nowMs);
    return 0;
  }

  #prune(nowMs: number): void {
    for (const [sessionId, paidAtMs] of this.#paidAtMs) if (paidAtMs <= nowMs) this.#paidAtMs.delete(sessionId);
    this.#pruneAbove = Math.max(PRUNE_ABOVE, 2 * this.#paidAtMs.size);
  }
}
