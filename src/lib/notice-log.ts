import type { Clock } from './clock.js';
import type { Log } from './log.js';

/** A log that every node reads to its end, again and again. Entries of kinds that a reader does not know are not for it. */
export interface NoticeLog<Notice> {
  append(notice: Notice): Promise<void>;
  /** The position behind the newest entry. */
  end(): Promise<string>;
  /** Entries behind `position`, oldest first, and where to read on. */
  read(position: string): Promise<{ notices: Notice[]; position: string }>;
}

export interface NoticeReaderOptions<Notice> {
  notices: NoticeLog<Notice>;
  /** Must not throw. */
  apply(notice: Notice): void;
  /** For the log: what the notices are. */
  what: string;
  clock: Clock;
  log: Log;
  pollEveryMs?: number;
}

const POLL_EVERY_MS = 500;
/** What is shorter is told of by the store itself, if it is worth it. */
const TELL_AFTER_MS = 5_000;

/** Applies what is appended from its start on, in order. A poll has no gap that could go unnoticed. */
export class NoticeReader<Notice> {
  readonly #options: NoticeReaderOptions<Notice>;
  #position = '';
  /** When the log was last read to its end, by the monotonic clock. */
  #readAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #told = false;

  constructor(options: NoticeReaderOptions<Notice>) {
    this.#options = options;
  }

  /** Resolves when what is appended from now on will be applied. */
  async start(): Promise<void> {
    this.#readAtMs = this.#options.clock.monotonicMs();
    this.#position = await this.#options.notices.end();
    this.#running = true;
    this.#schedule();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** How long ago the log was last read to its end. */
  get lagMs(): number {
    return this.#options.clock.monotonicMs() - this.#readAtMs;
  }

  #schedule(): void {
    if (!this.#running) return;
    const { pollEveryMs = POLL_EVERY_MS } = this.#options;
    this.#timer = setTimeout(() => void this.#poll().then(() => this.#schedule()), pollEveryMs);
    this.#timer.unref();
  }

  /** What cannot be read now is read later, from the same position. */
  async #poll(): Promise<void> {
    const { apply, clock, log, notices: source, what } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      for (let more = true; more; ) {
        const { notices, position } = await source.read(this.#position);
        this.#position = position;
        for (const notice of notices) apply(notice);
        more = notices.length > 0;
      }
      this.#readAtMs = startedMs;
      if (this.#told) log.info({ what }, 'control log is read again');
      this.#told = false;
    } catch (error) {
      if (this.#told || this.lagMs < TELL_AFTER_MS) return;
      this.#told = true;
      const { code, message } = error as Error & { code?: string };
      log.warn({ what, code, reason: message, behind_ms: Math.round(this.lagMs) }, 'control log not read');
    }
  }
}
