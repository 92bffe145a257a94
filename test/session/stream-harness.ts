import { setImmediate as nextTurn } from 'node:timers/promises';
import { TurnQueue } from '../../src/lib/turn-queue.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { Position, Subscription } from '../../src/protocol/messages.js';
import type { FrameEncoder } from '../../src/session/frame-encoder.js';
import { append, newStream, readRange, type Stream, stateOf, truncate } from '../../src/session/history.js';
import { LiveStream } from '../../src/session/live-stream.js';
import type {
  HistoryRange,
  HistoryRead,
  MessageBatch,
  MessageStore,
  Retention,
  StreamState,
} from '../../src/session/message-ports.js';
import type { StreamContext } from '../../src/session/stream-context.js';
import { copiedStream } from '../support/copied-stream.js';
import { messageItem } from '../support/message-item.js';
import { quietSessions, silent } from '../support/silent.js';
import { FakeSubscriber, LINES, RETENTION } from './domain-harness.js';

export const SID = 'doc:1';

/** One session's history that can lose its last messages, as a replica does that becomes the master too early. */
export class FragileStore implements MessageStore {
  /** Of each message that is part of the history, trimmed or not, by its offset. */
  written: number[] = [];
  readonly reads: HistoryRange[] = [];
  /** Entries that one read gives at most. */
  readLimit = 1_000;
  away = false;
  /** What a read waits for before its answer is given. */
  reply: () => Promise<unknown> = async () => {};
  readonly #retention: Retention;
  #stream: Stream;
  #earlier: { stream: Stream; written: number[] }[] = [];
  #run = 1;
  #us = 1_000_000;
  #sequence = 0;

  constructor(retention: Retention) {
    this.#retention = retention;
    this.#stream = newStream(this.#time());
  }

  /** @returns what is published */
  write(messages: { number: number; ephemeral: boolean; filling?: string }[]): MessageBatch {
    this.#earlier.push({ stream: copiedStream(this.#stream), written: [...this.written] });
    const owner = { state: 'free', connectionId: '', epoch: 0 } as const;
    const request = {
      sessionId: SID,
      writerId: 'w',
      sequence: ++this.#sequence,
      retention: this.#retention,
      items: messages.map(({ number, ephemeral, filling = '' }) => {
        const mark = ephemeral ? ',"ephemeral":true' : '';
        return messageItem(`${mark},"data":"${number} ${filling}"}`, { ephemeral });
      }),
    };
    const { batch } = append(this.#stream, request, { ...this.#time(), owner, sent: new Map() });
    if (batch === undefined) throw new Error('not accepted');
    for (const { number, ephemeral } of messages) if (!ephemeral) this.written.push(number);
    return batch;
  }

  /** Another takes its place that lacks the last writes. */
  failOver(lost: number): void {
    this.#run++;
    const before = lost > 0 ? this.#earlier.at(-lost) : undefined;
    if (before === undefined) return;
    this.#earlier = this.#earlier.slice(0, -lost);
    this.#stream = before.stream;
    this.written = before.written;
  }

  get state(): StreamState {
    return { ...stateOf(this.#stream, this.#time().nowMs) };
  }

  async append(): Promise<never> {
    throw new Error('see write');
  }

  async read(_sessionId: string, range: HistoryRange, limit: number): Promise<HistoryRead> {
    this.#reach();
    this.reads.push(range);
    const entries = readRange(this.#stream, range, Math.min(limit, this.readLimit), this.#time().nowMs);
    const { state } = this;
    await this.reply();
    return { state, entries };
  }

  async states(): Promise<StreamState[]> {
    this.#reach();
    const { state } = this;
    await this.reply();
    return [state];
  }

  async truncate(_sessionId: string, through: number): Promise<StreamState> {
    truncate(this.#stream, through);
    return this.state;
  }

  async remove(): Promise<void> {
    this.#stream = newStream(this.#time());
    this.#earlier = [];
    this.written = [];
  }

  #reach(): void {
    if (this.away) throw new HoldfastError('store_unavailable', 'the store is away');
  }

  #time() {
    const nowUs = this.#us++;
    return { nowMs: Math.floor(nowUs / 1_000), nowUs, runId: `run-${this.#run}` };
  }
}

export interface StreamOptions {
  retention?: Partial<Retention>;
  lagBytes?: number;
  frames?: FrameEncoder;
  telemetry?: Partial<StreamContext['telemetry']>;
}

/** One session on one node, whose messages arrive when the test says so. */
export function startStream({ retention, lagBytes = 65_536, frames = LINES, telemetry }: StreamOptions = {}) {
  const store = new FragileStore({ ...RETENTION, ...retention });
  const budget = { bytes: 0 };
  const stream = new LiveStream(SID, {
    messages: store,
    frames,
    lagBytes,
    log: silent,
    telemetry: { ...quietSessions, ...telemetry },
    budget,
    turns: new TurnQueue(),
  });
  let number = 0;
  const write = (count = 1, filling = '') =>
    store.write(Array.from({ length: count }, () => ({ number: ++number, ephemeral: false, filling })));
  return {
    store,
    stream,
    budget,
    write,
    writeEphemeral: () => store.write([{ number: ++number, ephemeral: true }]),
    /** Writes, and everything arrives. */
    publish: (count = 1, filling = '') => stream.receive(write(count, filling)),
    join(since?: Subscription['since'], subscriber = new FakeSubscriber('ann')): Follower {
      return new Follower(subscriber, stream.enter(subscriber, store.state, since));
    },
    /** What reconciliation does. */
    async compare(): Promise<void> {
      const { position } = stream;
      const [state] = await store.states();
      if (state !== undefined) stream.compare(state, position);
    },
  };
}

/** Lets the other work of some turns of the event loop be done. */
export async function turns(count = 12): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

/** A subscriber that holds what it is sent to M1. */
export class Follower {
  readonly subscriber: FakeSubscriber;
  readonly recovered: boolean | undefined;
  readonly begins: Position;

  constructor(subscriber: FakeSubscriber, { position, recovered }: { position: Position; recovered?: boolean }) {
    this.subscriber = subscriber;
    this.begins = position;
    this.recovered = recovered;
  }

  /** The numbers of the stored messages that it was sent, in order. */
  get numbers(): number[] {
    return this.subscriber
      .of('message')
      .filter(({ ephemeral }) => ephemeral !== true)
      .map(numberOf);
  }

  /** What it was told besides messages. */
  get notices(): string[] {
    const told = this.subscriber.frames.filter(({ type }) => type !== 'message');
    return told.map((frame) => (frame.type === 'reset' ? `reset ${frame.recovered}` : frame.type));
  }

  /**
   * Follows the frames: each message is the next one, or a notice says where it goes on.
   * @returns where it is, and the messages since it was last told that something is missing, with their offsets
   */
  trace(): { position: Position; seen: { offset: number; number: number }[] } {
    let position = this.begins;
    let seen: { offset: number; number: number }[] = [];
    for (const frame of this.subscriber.frames) {
      if (frame.type === 'reset') {
        if (frame.recovered && frame.position.offset !== position.offset) {
          throw new Error(`recovered at ${frame.position.offset}, was at ${position.offset}`);
        }
        if (!frame.recovered) seen = [];
        position = frame.position;
      } else if (frame.type === 'lagged') {
        if (frame.position.offset !== position.offset || frame.position.epoch !== position.epoch) {
          throw new Error(`lagged at ${frame.position.offset}, was at ${position.offset}`);
        }
      } else if (frame.type === 'message' && frame.ephemeral !== true) {
        if (frame.offset !== position.offset + 1) throw new Error(`${frame.offset} after ${position.offset}`);
        position = { ...position, offset: frame.offset };
        seen.push({ offset: frame.offset, number: numberOf(frame) });
      }
    }
    return { position, seen };
  }
}

function numberOf(message: object): number {
  return Number.parseInt((message as { data: string }).data, 10);
}
