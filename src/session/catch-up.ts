import type { TurnQueue } from '../lib/turn-queue.js';
import type { Position } from '../protocol/messages.js';
import type { Chunk } from './frame-run.js';
import type { StreamState } from './message-ports.js';
import { standing } from './position.js';
import type { RecoveryWindow } from './recovery-window.js';
import type { Subscriber } from './subscriber.js';
import type { SessionTelemetry } from './telemetry.js';

export interface CatchUpContext {
  turns: TurnQueue;
  lagBytes: number;
  telemetry: SessionTelemetry;
  window: RecoveryWindow;
  /** The live stream's; `top` is its position. */
  state: () => StreamState | undefined;
  /** Brings the live stream up to the store. */
  fill: () => Promise<void>;
  /** At the live stream's position. What comes next is for the live stream to write. */
  onCaughtUp: () => void;
  /** What follows is not to be had any more. */
  onLost: () => void;
  /** The same position, in another epoch. */
  onMoved: (position: Position) => void;
}

/**
 * A subscriber that is not where the live stream is. It is written the messages in between, no faster than it takes
 * them, until it has caught up.
 */
export class CatchUp {
  readonly #subscriber: Subscriber;
  readonly #context: CatchUpContext;
  #epoch: string;
  #offset: number;
  #ended = false;

  constructor(subscriber: Subscriber, { epoch, offset }: Position, context: CatchUpContext) {
    this.#subscriber = subscriber;
    this.#epoch = epoch;
    this.#offset = offset;
    this.#context = context;
  }

  /** Goes on in a later turn. */
  next(): void {
    this.#context.turns.add(() => this.#step());
  }

  /** Goes on when everything sent so far is taken. */
  whenDrained(): void {
    this.#subscriber.onDrained(() => this.#step());
  }

  end(): void {
    this.#ended = true;
  }

  #step(): void {
    const { window, lagBytes, onCaughtUp } = this.#context;
    const state = this.#context.state();
    if (this.#ended || state === undefined) return;
    if (this.#epoch !== state.epoch || this.#offset > state.top) {
      void this.#findOut();
    } else if (this.#offset === state.top) {
      this.end();
      onCaughtUp();
    } else if (this.#subscriber.queuedBytes > lagBytes / 2) {
      this.whenDrained();
    } else {
      const chunk = window.chunk(this.#offset, this.#subscriber.compresses);
      if (chunk === undefined) void this.#load();
      else this.#write(chunk);
    }
  }

  #write({ frames, count, to }: Chunk): void {
    this.#offset = to;
    this.#context.telemetry.recovered(count);
    this.#subscriber.sendFrames(frames);
    this.next();
  }

  async #load(): Promise<void> {
    const loaded = await this.#context.window.load(this.#offset);
    if (this.#ended) return;
    if (loaded === 'moved') return this.#findOut();
    if (loaded === 'trimmed') return this.#lose();
    const chunk = loaded.chunk(this.#offset, this.#subscriber.compresses);
    if (chunk === undefined) this.next();
    else this.#write(chunk);
  }

  /** Either this node is behind, or the history is another one now. */
  async #findOut(): Promise<void> {
    const { fill, onMoved } = this.#context;
    await fill();
    const state = this.#context.state();
    if (this.#ended || state === undefined) return;
    if (standing(state, { epoch: this.#epoch, offset: this.#offset }) === 'lost') return this.#lose();
    if (this.#epoch !== state.epoch) {
      this.#epoch = state.epoch;
      onMoved({ epoch: this.#epoch, offset: this.#offset });
    }
    this.next();
  }

  #lose(): void {
    this.end();
    this.#context.onLost();
  }
}
