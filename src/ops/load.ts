import { totalmem } from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

const WINDOW_MS = 1_000;
const RESOLUTION_MS = 10;
/** The rest is for what is open: a process that reaches its limit is killed with all its connections. */
const USABLE_MEMORY = 0.9;

export interface LoadLimits {
  /** The median delay beyond which the node is overloaded: one long turn is not, a full loop is. */
  maxEventLoopDelayMs: number;
  /** Resident memory beyond which it is; 0: no such limit. */
  maxRssBytes: number;
}

export interface Load {
  event_loop_delay_ms: number;
  rss_bytes: number;
  /** 0: no limit. */
  max_rss_bytes: number;
  heap_used_bytes: number;
}

/**
 * @param configured 0 for a part of what the container may have
 * @param constrained what the control group of the process allows; huge where it allows all
 * @param processes how many share it
 */
export function maxRssBytesOf(
  configured: number,
  processes = 1,
  constrained = process.constrainedMemory(),
  total = totalmem(),
): number {
  if (configured > 0) return configured;
  return constrained > 0 && constrained <= total ? Math.floor((constrained * USABLE_MEMORY) / processes) : 0;
}

/** Says that the node is overloaded: its event loop was late in the last second, or its memory is nearly used up. */
export class LoadMonitor {
  readonly #limits: LoadLimits;
  readonly #onError: (error: unknown) => void;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #delayMs = 0;
  #rssBytes = 0;

  /** @param onError the memory could not be read, for which a file is opened; the last reading counts on */
  constructor(limits: LoadLimits, onError: (error: unknown) => void = () => {}) {
    this.#limits = limits;
    this.#onError = onError;
    this.#readMemory();
    this.#delay.enable();
    this.#timer = setInterval(() => {
      // Of a window without any turn nothing is measured.
      this.#delayMs = Math.max(0, (this.#delay.percentile(50) || 0) / 1e6 - RESOLUTION_MS);
      this.#delay.reset();
      this.#readMemory();
    }, WINDOW_MS).unref();
  }

  overloaded(): boolean {
    const { maxEventLoopDelayMs, maxRssBytes } = this.#limits;
    return this.#delayMs > maxEventLoopDelayMs || (maxRssBytes > 0 && this.#rssBytes > maxRssBytes);
  }

  report(): Load {
    return {
      event_loop_delay_ms: Math.round(this.#delayMs),
      rss_bytes: this.#rssBytes,
      max_rss_bytes: this.#limits.maxRssBytes,
      heap_used_bytes: getHeapStatistics().used_heap_size,
    };
  }

  #readMemory(): void {
    try {
      this.#rssBytes = process.memoryUsage.rss();
    } catch (error) {
      this.#onError(error);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }
}
