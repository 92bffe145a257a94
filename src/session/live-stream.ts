import type { Position, ServerMessage, SubscribeAck, Subscription } from '../protocol/messages.js';
import { CatchUp } from './catch-up.js';
import { FanOut } from './fan-out.js';
import { type FrameText, frameText } from './frame-encoder.js';
import type { MessageFrame } from './frame-run.js';
import { messageHead, messageStart } from './message-frame.js';
import type { HistoryRange, HistoryRead, MessageBatch, PublishedMessage, StreamState } from './message-ports.js';
import { readPatiently } from './patient-read.js';
import { PendingBatches } from './pending-batches.js';
import { standing } from './position.js';
import { RecoveryWindow } from './recovery-window.js';
import { type StreamContext, wholeFrame } from './stream-context.js';
import type { Subscriber } from './subscriber.js';

const READ_LIMIT = 256;

/**
 * The messages of one session on their way to the subscribers of this node (M1, M3). Its position says up to where all
 * were handed to the live subscribers, and what does not follow it is read from the history first, once for all.
 * Subscribers that are elsewhere catch up, each for itself, and then become live.
 */
export class LiveStream {
  readonly #sessionId: string;
  /** Of its frames. */
  readonly #start: string;
  readonly #context: StreamContext;
  readonly #fanOut: FanOut;
  readonly #window: RecoveryWindow;
  readonly #catchUps = new Map<Subscriber, CatchUp>();
  readonly #pending = new PendingBatches();
  /** The store's last word, with the position as its top; undefined until the first subscriber brings it. */
  #state: StreamState | undefined;
  #filling: Promise<void> | undefined;
  #again = false;
  /** Subscribers that take compressed frames. */
  #compressing = 0;
  #closed = false;

  constructor(sessionId: string, context: StreamContext) {
    this.#sessionId = sessionId;
    this.#start = messageStart(sessionId);
    this.#context = context;
    this.#fanOut = new FanOut({
      frames: context.frames,
      lagBytes: context.lagBytes,
      onLagging: (subscriber, offset) => this.#onLagging(subscriber, offset),
      onDelivered: (count) => context.telemetry.delivered(count),
    });
    this.#window = new RecoveryWindow({
      read: (range, limit) => this.#read(range, limit),
      render: ({ offset, atMs, tail }) => this.#render(frameText(messageHead(this.#start, offset, atMs), tail)),
      position: () => this.#position(),
      budget: context.budget,
    });
  }

  get position(): Position | undefined {
    return this.#state && this.#position();
  }

  /** What other nodes and this one published. */
  receive(batch: MessageBatch): void {
    if (this.#state === undefined || this.#filling !== undefined) {
      this.#pending.add(batch, 0);
      return;
    }
    const next = this.#take(batch, 0);
    if (next === batch.messages.length) return;
    this.#pending.add(batch, next);
    void this.fill();
  }

  /**
   * From here on the subscriber gets what follows the position that is returned, but nothing within this call: it is to be
   * told of the position before anything is awaited.
   * @param state the session's, as the subscriber found it
   */
  enter(
    subscriber: Subscriber,
    state: StreamState,
    since: Subscription['since'],
  ): Pick<SubscribeAck, 'position' | 'recovered'> {
    if (this.#state === undefined) this.#begin(state);
    if (subscriber.compresses) this.#compressing++;
    const isOldest = since === 'oldest';
    const known = isOldest ? { epoch: state.epoch, offset: state.first - 1 } : since;
    if (known !== undefined && standing(state, known) === 'recoverable') {
      const position = { epoch: state.epoch, offset: known.offset };
      this.#follow(subscriber, position);
      return { position, recovered: !isOldest || state.first === 1 };
    }
    const live = this.#position();
    // Of two epochs it is not known here which is the later one: catching up finds out.
    const position = live.epoch === state.epoch ? live : { epoch: state.epoch, offset: state.top };
    this.#follow(subscriber, position);
    return { position, ...(since !== undefined && { recovered: false }) };
  }

  /** What is on its way to the subscriber is written first. */
  leave(subscriber: Subscriber): void {
    if (subscriber.compresses) this.#compressing--;
    this.#fanOut.remove(subscriber);
    this.#catchUps.get(subscriber)?.end();
    this.#catchUps.delete(subscriber);
  }

  /** Writes what waits. To be called before anything else goes to subscribers of the session. */
  flush(): void {
    this.#fanOut.flush();
  }

  /** Reads what follows the position. Resolves when a read that began after the call has told all there is. */
  fill(): Promise<void> {
    this.#again = true;
    // As soon as there is a position to read from.
    if (this.#state === undefined) return Promise.resolve();
    this.#filling ??= this.#fill();
    return this.#filling;
  }

  /**
   * Compares the position with the store's word, which may be a little old, and fills where they differ.
   * @param before the position when the store was asked
   */
  compare(state: StreamState, before: Position | undefined): void {
    const { epoch, offset } = this.#position();
    const isSame = state.epoch === epoch && before?.epoch === epoch;
    if (isSame && before.offset <= state.top && state.top <= offset) return;
    void this.fill();
  }

  close(): void {
    this.#closed = true;
    for (const catchUp of this.#catchUps.values()) catchUp.end();
    this.#catchUps.clear();
    this.#window.clear();
  }

  #position(): Position {
    const { epoch = '', top = 0 } = this.#state ?? {};
    return { epoch, offset: top };
  }

  #begin(state: StreamState): void {
    this.#moveTo(state);
    if (!this.#takePending(0) || this.#again) void this.fill();
  }

  #moveTo(state: StreamState): void {
    // What waits is of the position that this one replaces.
    this.#fanOut.flush();
    this.#state = { ...state };
    this.#fanOut.moveTo(state.top);
    this.#window.clear();
  }

  async #fill(): Promise<void> {
    this.#context.telemetry.filled();
    try {
      while (this.#again) {
        this.#again = false;
        const heard = this.#pending.length;
        const read = await this.#read({ after: this.#position().offset }, READ_LIMIT);
        if (read === undefined) return;
        this.#apply(read);
        this.#again ||= this.#position().offset < read.state.top || !this.#takePending(heard);
      }
    } finally {
      this.#filling = undefined;
    }
  }

  #apply({ state, entries }: HistoryRead): void {
    const { epoch, offset } = this.#position();
    if (standing(state, { epoch, offset }) === 'lost') return this.#reset(state, false);
    if (state.epoch !== epoch) this.#reset({ ...state, top: offset }, true);
    this.#state = { ...state, top: offset };
    for (const { offset: next, atMs, tail } of entries) {
      this.#deliver({ offset: next, tail, bytes: tail.length, ephemeral: false }, atMs);
    }
    // Nothing where something must be: it went away while it was read.
    if (entries.length === 0 && offset < state.top) this.#reset(state, false);
  }

  /** Takes what arrived meanwhile. @returns whether that was all there is, without a gap */
  #takePending(heard: number): boolean {
    const { batches, overflowed } = this.#pending.take();
    for (const [index, { batch, from }] of batches.entries()) {
      const next = this.#take(batch, from);
      // What was heard before the store was asked and does not follow its answer is not part of the history any more.
      if (next === batch.messages.length || index < heard) continue;
      this.#pending.add(batch, next);
      for (const later of batches.slice(index + 1)) this.#pending.add(later.batch, later.from);
      return false;
    }
    return !overflowed;
  }

  /** @returns the index of the first message that does not follow; their number when all do */
  #take({ epoch, atMs, messages }: MessageBatch, from: number): number {
    const position = this.#position();
    if (position.epoch !== epoch) return from;
    let top = position.offset;
    for (let index = from; index < messages.length; index++) {
      const message = messages[index];
      if (message === undefined) continue;
      const { offset, ephemeral } = message;
      if (offset > top + (ephemeral ? 0 : 1)) return index;
      if (!ephemeral && offset <= top) continue;
      if (!ephemeral) top = offset;
      this.#deliver(message, atMs);
    }
    return messages.length;
  }

  #deliver({ offset, ephemeral, tail, bytes }: PublishedMessage, atMs: number): void {
    const state = this.#state;
    if (state === undefined) return;
    if (!ephemeral) state.top = offset;
    if (this.#fanOut.live.size === 0 && !this.#window.active) {
      this.#fanOut.moveTo(state.top);
      return;
    }
    const text = frameText(messageHead(this.#start, offset, atMs), tail, bytes);
    if (this.#compressing === 0 && !this.#window.active) {
      this.#fanOut.push(text, undefined, state.top);
      return;
    }
    const frame = this.#render(text);
    this.#fanOut.push(frame.plain, frame.compressed, state.top);
    if (!ephemeral) this.#window.push(frame);
  }

  #render(text: FrameText): MessageFrame {
    const { frames } = this.#context;
    const compressed = this.#compressing > 0 ? frames.compressed(text) : undefined;
    return { plain: frames.plain(text), compressed };
  }

  /** The live subscribers are told, and go on at the state's top. */
  #reset(state: StreamState, recovered: boolean): void {
    this.#moveTo(state);
    this.#context.telemetry.reset(recovered);
    if (this.#fanOut.live.size === 0) return;
    const frame = wholeFrame(this.#context.frames, this.#resetTo(this.#position(), recovered));
    for (const subscriber of this.#fanOut.live) subscriber.sendFrames(frame);
  }

  #resetTo(position: Position, recovered: boolean): ServerMessage {
    return { type: 'reset', session_id: this.#sessionId, position, recovered };
  }

  #follow(subscriber: Subscriber, position: Position): void {
    const live = this.#position();
    if (position.epoch === live.epoch && position.offset === live.offset) this.#fanOut.add(subscriber);
    else this.#catchUp(subscriber, position).next();
  }

  #catchUp(subscriber: Subscriber, position: Position): CatchUp {
    const catchUp = new CatchUp(subscriber, position, {
      ...this.#context,
      window: this.#window,
      state: () => this.#state,
      fill: () => this.fill(),
      onCaughtUp: () => this.#onCaughtUp(subscriber),
      onLost: () => this.#onLost(subscriber),
      onMoved: (moved) => {
        this.#context.telemetry.reset(true);
        subscriber.send(this.#resetTo(moved, true));
      },
    });
    this.#catchUps.set(subscriber, catchUp);
    return catchUp;
  }

  #onCaughtUp(subscriber: Subscriber): void {
    this.#catchUps.delete(subscriber);
    this.#fanOut.add(subscriber);
  }

  #onLost(subscriber: Subscriber): void {
    this.#onCaughtUp(subscriber);
    this.#context.telemetry.reset(false);
    subscriber.send(this.#resetTo(this.#position(), false));
  }

  #onLagging(subscriber: Subscriber, offset: number): void {
    const position = { ...this.#position(), offset };
    const catchUp = this.#catchUp(subscriber, position);
    this.#context.telemetry.lagged();
    subscriber.send({ type: 'lagged', session_id: this.#sessionId, position });
    catchUp.whenDrained();
  }

  #read(range: HistoryRange, limit: number): Promise<HistoryRead | undefined> {
    return readPatiently(this.#context, this.#sessionId, range, limit, () => !this.#closed);
  }
}
