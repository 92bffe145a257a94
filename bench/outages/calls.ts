export const VERBS = ['claim', 'send', 'publish', 'reclaim', 'refresh'] as const;

export type Verb = (typeof VERBS)[number];

/** A call that took longer, and began while Redis was away, has felt the fault though it succeeded. */
const SLOW_MS = 1_000;

/** What became of one verb's calls. Times are ms since the fault. */
export interface VerbFigures {
  /** Since the load began. */
  ok: number;
  /** Until the first success of a call that was made after the fault. */
  firstOkMs: number | undefined;
  /** Until the last caller that had failed, or had to wait for more than a second because of it, succeeded; 0 when none had. */
  allOkMs: number;
  slowestMs: number;
  /** Failed calls since the fault, by code. */
  errors: Record<string, number>;
}

/** Counts the calls of the load, and for whom they do not work at present. */
export class Calls {
  readonly #verbs = new Map(VERBS.map((verb) => [verb, { figures: noFigures(), failing: new Set<string>() }]));
  /** Failed calls before the fault: then the figures say nothing. */
  readonly early: Record<string, number> = {};
  #faultMs = Number.POSITIVE_INFINITY;
  #repairedMs = Number.POSITIVE_INFINITY;
  #disturbedMs = 0;

  /** From now on figures are taken. */
  fault(): number {
    this.#faultMs = performance.now();
    this.#disturbedMs = this.#faultMs;
    return this.#faultMs;
  }

  /** What was broken works again; the gateway has not necessarily noticed. @returns ms since the fault */
  repaired(): number {
    this.#repairedMs = performance.now();
    this.#disturbedMs = this.#repairedMs;
    return this.#repairedMs - this.#faultMs;
  }

  /** @param caller who tries until it succeeds; @param code `ok`, or that of the error */
  record(verb: Verb, caller: string, startMs: number, code: string): void {
    const { figures, failing } = this.#of(verb);
    const nowMs = performance.now();
    if (code === 'ok') figures.ok += 1;
    if (nowMs < this.#faultMs) {
      if (code !== 'ok') count(this.early, `${verb} ${code}`);
      return;
    }
    const tookMs = nowMs - startMs;
    figures.slowestMs = Math.max(figures.slowestMs, tookMs);
    if (code !== 'ok') {
      failing.add(caller);
      count(figures.errors, code);
      this.#disturbedMs = nowMs;
      return;
    }
    if (startMs >= this.#faultMs) figures.firstOkMs ??= nowMs - this.#faultMs;
    const isLate = tookMs > SLOW_MS && startMs <= this.#repairedMs;
    if (!failing.delete(caller) && !isLate) return;
    figures.allOkMs = nowMs - this.#faultMs;
    this.#disturbedMs = nowMs;
  }

  /** Whatever failed for it is over for another reason than the fault. */
  leave(verb: Verb, caller: string): void {
    this.#of(verb).failing.delete(caller);
  }

  /** Every verb has worked since the fault, nobody is failing, and for that long nobody was. */
  isQuiet(forMs: number): boolean {
    const verbs = [...this.#verbs.values()];
    const works = verbs.every(({ figures }) => figures.firstOkMs !== undefined) && this.failing() === 0;
    return works && performance.now() - this.#disturbedMs > forMs;
  }

  /** Callers whose last call failed. */
  failing(): number {
    return [...this.#verbs.values()].reduce((sum, { failing }) => sum + failing.size, 0);
  }

  figures(): Record<Verb, VerbFigures> {
    return Object.fromEntries(VERBS.map((verb) => [verb, this.#of(verb).figures])) as Record<Verb, VerbFigures>;
  }

  #of(verb: Verb) {
    const entry = this.#verbs.get(verb);
    if (entry === undefined) throw new Error(`no verb ${verb}`);
    return entry;
  }
}

function noFigures(): VerbFigures {
  return { ok: 0, firstOkMs: undefined, allOkMs: 0, slowestMs: 0, errors: {} };
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
