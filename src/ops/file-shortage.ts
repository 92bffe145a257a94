import type { Log } from '../lib/log.js';

const CODES = new Set(['EMFILE', 'ENFILE']);
const OVER_AFTER_MS = 10_000;
const LOOK_EVERY_MS = 1_000;

/**
 * Remembers that no file could be opened: what comes then can be neither accepted nor asked of others. What is open goes
 * on. It is over when nothing has failed so for ten seconds.
 */
export class FileShortage {
  readonly #log: Log;
  #lastMs = 0;
  #beganMs = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @returns whether the error is one of this kind; then it has been told */
  noticed(error: unknown): boolean {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !CODES.has(code)) return false;
    this.#lastMs = performance.now();
    this.#failures += 1;
    if (this.#timer !== undefined) return true;
    this.#beganMs = this.#lastMs;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    const line =
      'no file descriptors left; the node is not ready, and what is open stays: raise ulimit -n, or add nodes';
    this.#log.error({ code: 'file_descriptors', error: code }, line);
    return true;
  }

  get lasts(): boolean {
    return this.#timer !== undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (performance.now() - this.#lastMs < OVER_AFTER_MS) return;
    this.stop();
    const fields = {
      code: 'file_descriptors',
      failures: this.#failures,
      after_ms: Math.round(this.#lastMs - this.#beganMs),
    };
    this.#failures = 0;
    this.#log.info(fields, 'file descriptors are free again');
  }
}
