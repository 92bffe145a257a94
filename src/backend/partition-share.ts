import { randomUUID } from 'node:crypto';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { Hand } from './event-hand.js';
import type { Outbox } from './ports.js';

/** The part of a lease that this node does not use: it may be slow between a look at the clock and what follows. */
const MARGIN = 1 / 15;
/** How soon a node that has less than its share looks again for what others gave up. */
const LOOK_AGAIN_MS = 1_000;

export interface PartitionShareOptions {
  outbox: Outbox;
  leaseMs: number;
  clock: Clock;
  log: Log;
}

/** The partitions that this node delivers: its fair share of them, by leases that it renews. */
export class PartitionShare {
  readonly consumer = randomUUID();
  readonly #options: PartitionShareOptions;
  readonly #hands = new Map<number, Hand>();
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: PartitionShareOptions) {
    this.#options = options;
  }

  /** What this node may read and deliver. */
  hands(): Hand[] {
    return [...this.#hands.values()].filter(({ dropped }) => !dropped);
  }

  /** Of all events in hand. */
  bytes(): number {
    let bytes = 0;
    for (const hand of this.#hands.values()) bytes += hand.bytes;
    return bytes;
  }

  /** When it is time: renews the leases, gives up what is too much and takes what is missing. */
  async update(): Promise<void> {
    const { outbox, leaseMs, clock, log } = this.#options;
    if (clock.monotonicMs() < this.#nextMs) return;
    this.#nextMs = clock.monotonicMs() + leaseMs / 3;
    try {
      await Promise.all(this.hands().map((hand) => this.#keep(hand)));
      const consumers = Math.max(1, await outbox.join(this.consumer, leaseMs));
      const share = Math.ceil(outbox.partitions / consumers);
      await Promise.all(
        this.hands()
          .slice(share)
          .map((hand) => this.drop(hand)),
      );
      await this.#take(share);
      const isShort = this.hands().length < Math.floor(outbox.partitions / consumers);
      if (isShort) this.#nextMs = Math.min(this.#nextMs, clock.monotonicMs() + LOOK_AGAIN_MS);
    } catch (error) {
      log.debug({ error }, 'share of the events not updated');
    }
  }

  /** Gives a partition up, as soon as nothing of it is under way. */
  async drop(hand: Hand): Promise<void> {
    hand.dropped = true;
    if (hand.running > 0 || hand.released) return;
    hand.released = true;
    // What cannot be given up lapses.
    await this.#options.outbox.release(hand.partition, this.consumer).catch(() => {});
    // Only now may it be taken again: a release that is late must not meet another lease of this node.
    this.#hands.delete(hand.partition);
  }

  async leave(): Promise<void> {
    await Promise.all([...this.#hands.values()].map((hand) => this.drop(hand)));
    await this.#options.outbox.join(this.consumer, 0).catch(() => {});
  }

  async #keep(hand: Hand): Promise<void> {
    const { outbox, leaseMs, clock } = this.#options;
    const sentMs = clock.monotonicMs();
    // After its end another may have had the partition, and have given it up again.
    const kept = sentMs < hand.leaseUntilMs && (await outbox.acquire(hand.partition, this.consumer, leaseMs));
    if (kept) hand.leaseUntilMs = sentMs + leaseMs * (1 - MARGIN);
    else await this.drop(hand);
  }

  async #take(share: number): Promise<void> {
    const { outbox, leaseMs, clock } = this.#options;
    const { partitions } = outbox;
    // From a random one on, so that nodes that start together do not ask for the same.
    const first = Math.floor(Math.random() * partitions);
    for (let i = 0; i < partitions && this.hands().length < share; i++) {
      const partition = (first + i) % partitions;
      if (this.#hands.has(partition)) continue;
      const sentMs = clock.monotonicMs();
      if (await outbox.acquire(partition, this.consumer, leaseMs)) {
        this.#hands.set(partition, new Hand(partition, sentMs + leaseMs * (1 - MARGIN)));
      }
    }
  }
}
