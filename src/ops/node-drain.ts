import { type DrainResult, drain, type LeaveOptions, shed } from './drain.js';
import { paceFor, paceMs } from './pace.js';
import type { NodeDirective, Shedding } from './ports.js';

export interface NodeDrainOptions extends LeaveOptions {
  /** How long the process may take to end. */
  drainMs: number;
  /** Closes a second at most; 0: as few as `drainMs` allows, of few connections `DEFAULT_RATE`. */
  drainRate: number;
  /** The shortest of any session. */
  shortestGraceMs: number;
  refuseUpgrades(retryAfterMs: number): void;
  acceptUpgrades(): void;
}

export interface DrainStatus {
  state: 'none' | 'draining' | 'drained';
  /** Connections at its start, and now. */
  total: number;
  left: number;
  /** How long closing takes by the pace. */
  window_ms: number;
  /** RFC 3339; absent while there is no drain. */
  started_at?: string;
}

interface Run {
  abort: AbortController;
  total: number;
  windowMs: number;
  startedAtMs: number;
  /** Closing is over; what is left does not answer. */
  over: boolean;
}

/** The part of the drain in which closes are paced; the rest is for those that are slow to go. */
const WINDOW_PART = 0.8;
/** Few connections are not spread over the whole window. */
const DEFAULT_RATE = 100;
/** When to come back, for those that were not yet told to close and those that were refused. */
const RETRY_MS = 1_000;

/**
 * How many connections of a node are closed a second, at most.
 * @param ends whether the process ends with the drain, which then must not take longer than `drainMs`
 */
export function drainPace(
  total: number,
  { drainMs, drainRate }: Pick<NodeDrainOptions, 'drainMs' | 'drainRate'>,
  ends: boolean,
): number {
  if (drainRate > 0 && !ends) return drainRate;
  return Math.max(drainRate || DEFAULT_RATE, paceFor(total, drainMs * WINDOW_PART));
}

/** Whether this node drains or sheds connections, by command or since its process ends. */
export class NodeDrain {
  readonly #options: NodeDrainOptions;
  #run: Run | undefined;
  #ending = false;
  #shedding: (Shedding & { abort: AbortController }) | undefined;

  constructor(options: NodeDrainOptions) {
    this.#options = options;
  }

  get draining(): boolean {
    return this.#run !== undefined;
  }

  status(): DrainStatus {
    const run = this.#run;
    const left = this.#options.connections().size;
    if (run === undefined) return { state: 'none', total: 0, left: 0, window_ms: 0 };
    const { total, windowMs, startedAtMs, over } = run;
    return {
      state: over && left === 0 ? 'drained' : 'draining',
      total,
      left,
      window_ms: Math.round(windowMs),
      started_at: new Date(startedAtMs).toISOString(),
    };
  }

  /** What is left of the last rebalance. */
  get shedding(): Shedding | undefined {
    return this.#shedding && { id: this.#shedding.id, left: this.#shedding.left };
  }

  /** Drains by command: the node stays, and takes no connections until `undrain`. */
  drain(): void {
    if (this.#run === undefined) void this.#start(false);
  }

  /** Takes connections again; those that were not told to close stay. Too late for a process that ends. */
  undrain(): void {
    if (this.#run === undefined || this.#ending) return;
    this.#run.abort.abort();
    this.#run = undefined;
    this.#options.acceptUpgrades();
    this.#options.log.info({ connections: this.#options.connections().size }, 'drain undone');
  }

  /** Drains because the process ends; resolves within `drainMs`. */
  finish(): Promise<DrainResult> {
    this.#run?.abort.abort();
    this.#ending = true;
    return this.#start(true);
  }

  /** What was told through the control log. */
  obey(directive: NodeDirective): void {
    if (directive.kind === 'node_drain') this.drain();
    else if (directive.kind === 'node_undrain') this.undrain();
    else if (directive.kind === 'node_shed') this.#shed(directive);
  }

  async #start(ends: boolean): Promise<DrainResult> {
    const { clock, connections, drainMs, refuseUpgrades, shortestGraceMs } = this.#options;
    this.#shedding?.abort.abort();
    const total = connections().size;
    const perSecond = drainPace(total, this.#options, ends);
    const windowMs = paceMs(total, perSecond);
    const abort = new AbortController();
    const run: Run = { abort, total, windowMs, startedAtMs: clock.wallMs(), over: false };
    this.#run = run;
    refuseUpgrades(RETRY_MS);
    // One that ends may be killed before it is done. Its clients then keep about the pace by themselves, as far as that
    // leaves them time to take back what they owned.
    const spreadMs = Math.min(ends ? Math.max(RETRY_MS, windowMs) : RETRY_MS, shortestGraceMs / 2);
    const deadlineMs = ends ? drainMs : drainMs + 2 * windowMs;
    const result = await drain({
      ...this.#options,
      perSecond,
      spreadMs: Math.round(spreadMs),
      deadlineMs,
      signal: abort.signal,
    });
    run.over = true;
    return result;
  }

  #shed({ id, count, perSecond }: Extract<NodeDirective, { kind: 'node_shed' }>): void {
    this.#shedding?.abort.abort();
    const abort = new AbortController();
    const shedding = { id, left: this.draining ? 0 : count, abort };
    this.#shedding = shedding;
    if (shedding.left === 0) return;
    const onProgress = (left: number) => {
      shedding.left = left;
    };
    void shed({ ...this.#options, count, perSecond, signal: abort.signal, onProgress }).then(() => onProgress(0));
  }
}
