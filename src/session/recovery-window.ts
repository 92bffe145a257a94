import { type Chunk, FrameRun, type MessageFrame } from './frame-run.js';
import type { HistoryEntry, HistoryRange, HistoryRead } from './message-ports.js';

/** Of frames; `FrameRun` bounds the buffers that it keeps of them. */
const MAX_WINDOW_BYTES = 4 * 1_048_576;
const MAX_NODE_BYTES = 64 * 1_048_576;
const IDLE_MS = 5_000;
const READ_LIMIT = 256;

/** What the windows of a node hold together. */
export interface WindowBudget {
  bytes: number;
}

export interface RecoverySource {
  /** As `readPatiently`; undefined when nobody wants it any more. */
  read(range: HistoryRange, limit: number): Promise<HistoryRead | undefined>;
  render(entry: HistoryEntry): MessageFrame;
  /** Where the live stream is. */
  position(): { epoch: string; offset: number };
  budget: WindowBudget;
}

/** What follows an offset, or why that is not to be had: it is too old, or the history is another one. */
export type Loaded = Pick<FrameRun, 'chunk'> | 'trimmed' | 'moved';

/**
 * The last messages of a session, kept while somebody who missed some catches up: read once for all who do, and
 * carried on by the live stream. What is too much to keep is read for each offset on its own, once for all who are
 * there.
 */
export class RecoveryWindow {
  readonly #source: RecoverySource;
  /** By epoch and offset: an answer from before a failover is of no use to who is beyond it. */
  readonly #single = new Map<string, Promise<Loaded>>();
  /** Undefined while nobody recovers. Ends at the live stream's position. */
  #run: FrameRun | undefined;
  /** Where the furthest behind is. */
  #wanted = 0;
  #extending: Promise<HistoryRead | undefined> | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(source: RecoverySource) {
    this.#source = source;
  }

  /** Whether it wants to be given each message of the live stream. */
  get active(): boolean {
    return this.#run !== undefined;
  }

  push(frame: MessageFrame): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#change(run, () => run.append(frame));
    this.#shareLess(run);
    while (run.bytes > MAX_WINDOW_BYTES || (run.bytes > 0 && this.#source.budget.bytes > MAX_NODE_BYTES)) {
      this.#change(run, () => run.dropOldest());
    }
  }

  /** What follows `offset`, if it is at hand. */
  chunk(offset: number, compressed: boolean): Chunk | undefined {
    this.#idle?.refresh();
    const run = this.#run;
    if (run === undefined) return undefined;
    let chunk: Chunk | undefined;
    this.#change(run, () => {
      chunk = run.chunk(offset, compressed);
    });
    this.#shareLess(run);
    return chunk;
  }

  /** Gets what follows `offset`, which is behind the live stream. */
  async load(offset: number): Promise<Loaded> {
    const run = this.#begin();
    if (run.from <= offset) return this;
    if (!this.#isFull(run)) {
      this.#wanted = Math.min(this.#wanted, offset);
      this.#extending ??= this.#extend(run).finally(() => {
        this.#extending = undefined;
      });
      const read = await this.#extending;
      if (read === undefined || this.#run !== run) return 'moved';
      if (run.from <= offset) return this;
      if (read.state.first > offset + 1) return 'trimmed';
    }
    return this.#readSingle(offset);
  }

  /** Forgets everything. */
  clear(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#source.budget.bytes -= this.#run?.heldBytes ?? 0;
    this.#run = undefined;
  }

  #begin(): FrameRun {
    if (this.#run === undefined) {
      this.#wanted = this.#source.position().offset;
      this.#run = new FrameRun(this.#wanted);
    }
    this.#idle ??= setTimeout(() => this.clear(), IDLE_MS).unref();
    this.#idle.refresh();
    return this.#run;
  }

  /** Reads backwards until the window begins where the furthest behind is. @returns the store's last answer */
  async #extend(run: FrameRun): Promise<HistoryRead | undefined> {
    const { epoch } = this.#source.position();
    for (;;) {
      const read = await this.#source.read({ before: run.from + 1 }, READ_LIMIT);
      if (read === undefined || this.#run !== run || read.state.epoch !== epoch) return undefined;
      this.#idle?.refresh();
      // Trimmed, or the window itself has dropped what would lie in between.
      if (read.entries.at(-1)?.offset !== run.from) return read;
      this.#change(run, () => run.prepend(read.entries.map((entry) => this.#source.render(entry))));
      if (run.from <= this.#wanted || this.#isFull(run)) return read;
    }
  }

  #readSingle(offset: number): Promise<Loaded> {
    const { epoch } = this.#source.position();
    const key = `${epoch}:${offset}`;
    let reading = this.#single.get(key);
    if (reading === undefined) {
      reading = this.#readAfter(epoch, offset).finally(() => this.#single.delete(key));
      this.#single.set(key, reading);
    }
    return reading;
  }

  async #readAfter(epoch: string, offset: number): Promise<Loaded> {
    const read = await this.#source.read({ after: offset }, READ_LIMIT);
    if (read === undefined || read.state.epoch !== epoch || read.state.top <= offset) return 'moved';
    if (read.entries[0]?.offset !== offset + 1) return 'trimmed';
    return new FrameRun(
      offset,
      read.entries.map((entry) => this.#source.render(entry)),
    );
  }

  #isFull(run: FrameRun): boolean {
    return run.bytes >= MAX_WINDOW_BYTES || this.#source.budget.bytes >= MAX_NODE_BYTES;
  }

  /** Buffers are made anew before messages are read anew. */
  #shareLess(run: FrameRun): void {
    if (this.#source.budget.bytes > MAX_NODE_BYTES) this.#change(run, () => run.forgetChunks());
  }

  #change(run: FrameRun, change: () => void): void {
    const before = run.heldBytes;
    change();
    this.#source.budget.bytes += run.heldBytes - before;
  }
}
