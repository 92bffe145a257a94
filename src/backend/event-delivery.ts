import { type BackoffBounds, equalJitterMs } from '../lib/backoff.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { Hand, Line } from './event-hand.js';
import { type HookClient, HookError } from './hook-client.js';
import { PartitionShare } from './partition-share.js';
import { OUTBOX_ROOM, type Outbox } from './ports.js';
import type { BackendTelemetry } from './telemetry.js';

const MAX_UNFINISHED = 200;
const READ_AT_ONCE = 50;
/** Of bodies in hand; a read may go beyond it by what it brings. */
const MAX_BYTES = 16 << 20;
const READING_AT_ONCE = 4;
const STORE_RETRY_MS = 1_000;
const REPORT_EVERY_MS = 15_000;

export interface DeliveryPace {
  pollEveryMs: number;
  /** Of a partition's delivery, at least; how long the events of a node that died wait. */
  leaseMs: number;
  /** After so many failures an event is a dead letter. */
  maxAttempts: number;
  /** Between two attempts, with jitter. */
  backoff: BackoffBounds;
}

export const DELIVERY_PACE: DeliveryPace = {
  pollEveryMs: 250,
  leaseMs: 15_000,
  maxAttempts: 20,
  backoff: { baseMs: 1_000, capMs: 600_000 },
};

export interface EventDeliveryOptions {
  hook: HookClient;
  outbox: Outbox;
  /** How many deliveries are under way at once. */
  concurrency: number;
  pace: DeliveryPace;
  clock: Clock;
  log: Log;
  telemetry: BackendTelemetry;
}

/**
 * Delivers the events of this node's share of the partitions: at least once, in order per session or login. One that
 * fails holds back those of its own session, and, while 200 of them wait, the partition. In hand there are never more
 * than 200 of a partition.
 */
export class EventDelivery {
  readonly #options: EventDeliveryOptions;
  readonly #share: PartitionShare;
  /** Lines whose first event may go now, in the order in which they became that. */
  readonly #ready = new Set<Line>();
  /** Line → when it may go on, monotonic. */
  readonly #delayed = new Map<Line, number>();
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> | undefined;
  #reportAtMs = 0;
  #isFull = false;
  #stopped = false;

  constructor(options: EventDeliveryOptions) {
    this.#options = options;
    this.#share = new PartitionShare({
      ...options,
      leaseMs: Math.max(options.pace.leaseMs, 3 * options.hook.timeoutMs),
    });
  }

  start(): void {
    if (this.#stopped) return;
    this.#turning = this.#turn().finally(() => {
      if (!this.#stopped) this.#timer = setTimeout(() => this.start(), this.#options.pace.pollEveryMs).unref();
    });
  }

  /** Starts no more deliveries, waits for those under way, and leaves the partitions to others. */
  async close(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#turning;
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#share.leave();
  }

  async #turn(): Promise<void> {
    await this.#share.update();
    // One iterator for all lanes.
    const hands = this.#share.hands().values();
    const lane = async () => {
      for (const hand of hands) await this.#read(hand);
    };
    await Promise.all(Array.from({ length: READING_AT_ONCE }, lane));
    const nowMs = this.#nowMs();
    for (const [line, dueMs] of this.#delayed) {
      if (dueMs > nowMs && !line.hand.dropped) continue;
      this.#delayed.delete(line);
      this.#ready.add(line);
    }
    this.#pump();
    await this.#report(nowMs);
  }

  async #read(hand: Hand): Promise<void> {
    const { outbox, log } = this.#options;
    try {
      while (!hand.dropped && !this.#stopped && this.#share.bytes() < MAX_BYTES) {
        const room = MAX_UNFINISHED - hand.size;
        // What others have left is read in one go: there is no telling it from what is in hand already.
        const limit = hand.known ? Math.min(room, READ_AT_ONCE) : MAX_UNFINISHED;
        if (limit === 0) return;
        const events = await outbox.read(hand.partition, this.#share.consumer, limit, hand.known);
        hand.known = true;
        for (const line of hand.add(events)) this.#ready.add(line);
        if (events.length < limit) return;
      }
    } catch (error) {
      log.debug({ error, partition: hand.partition }, 'events not read');
      await this.#share.drop(hand);
    }
  }

  #pump(): void {
    const { hook, concurrency } = this.#options;
    for (const line of this.#ready) {
      if (this.#stopped || this.#running.size >= concurrency || hook.waitMs() > 0) return;
      this.#ready.delete(line);
      const nowMs = this.#nowMs();
      if (line.hand.dropped) continue;
      // It has to be over before another node may have the partition.
      if (nowMs + hook.timeoutMs >= line.hand.leaseUntilMs) this.#delayed.set(line, nowMs);
      else this.#begin(line);
    }
  }

  #begin(line: Line): void {
    const { hand } = line;
    hand.running += 1;
    const run = this.#advance(line).finally(async () => {
      hand.running -= 1;
      if (hand.dropped) await this.#share.drop(hand);
      this.#running.delete(run);
      this.#pump();
    });
    this.#running.add(run);
  }

  async #advance(line: Line): Promise<void> {
    const { hand } = line;
    const retryInMs = await this.#deliver(line).catch((error: unknown) => {
      this.#options.log.debug({ error, partition: hand.partition }, 'delivery of an event not recorded');
      return STORE_RETRY_MS;
    });
    if (retryInMs !== undefined) this.#delayed.set(line, this.#nowMs() + retryInMs);
    else if (hand.finish(line)) this.#ready.add(line);
  }

  /**
   * @returns when to try again, in ms; undefined when the line's first event is done with
   * @throws HoldfastError `store_unavailable`
   */
  async #deliver(line: Line): Promise<number | undefined> {
    const { hook, outbox, telemetry } = this.#options;
    const [first] = line.events;
    if (first === undefined) return undefined;
    const { event, body } = first;
    if (!line.delivered) {
      try {
        await hook.call(event.id, body, ({ status }) => (status >= 200 && status < 300) || undefined);
      } catch (error) {
        if (!(error instanceof HookError)) throw error;
        return this.#failed(line, error);
      }
      telemetry.eventDelivered(event.type);
      line.delivered = true;
    }
    await outbox.done(line.hand.partition, [event.id]);
    return undefined;
  }

  async #failed({ hand, events }: Line, error: HookError): Promise<number | undefined> {
    const { hook, outbox, pace, telemetry, log } = this.#options;
    const event = events[0]?.event;
    if (event === undefined) return undefined;
    const { baseMs, capMs } = pace.backoff;
    // An application that fails at everything, be it by redirects or 500, refuses no event.
    if (hook.waitMs() > 0) return equalJitterMs(baseMs);
    const attempts = await outbox.failed(hand.partition, event.id);
    // A full outbox has lost it.
    if (attempts === 0) return undefined;
    if (attempts < pace.maxAttempts) {
      telemetry.eventRetried(event.type);
      return equalJitterMs(Math.min(capMs, baseMs * 2 ** (attempts - 1)));
    }
    await outbox.bury(hand.partition, { ...event, attempts }, error.message);
    telemetry.eventBuried(event.type);
    log.warn({ event: event.id, type: event.type, attempts, reason: error.message }, 'event given up');
    return undefined;
  }

  async #report(nowMs: number): Promise<void> {
    if (nowMs < this.#reportAtMs) return;
    this.#reportAtMs = nowMs + REPORT_EVERY_MS;
    const { outbox, telemetry, log } = this.#options;
    try {
      const backlog = await outbox.backlog();
      telemetry.backlog(backlog);
      const isFull = backlog.fullest >= OUTBOX_ROOM;
      const { waiting } = backlog;
      if (isFull && !this.#isFull) {
        log.error({ code: 'outbox_full', waiting }, 'events for the application are being dropped, oldest first');
      }
      if (!isFull && this.#isFull) log.info({ code: 'outbox_full', waiting }, 'no events are dropped any more');
      this.#isFull = isFull;
    } catch (error) {
      log.debug({ error }, 'backlog of events not read');
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
