import type { Clock } from '../../lib/clock.js';
import {
  append,
  expire,
  type HistoryContext,
  NO_STREAM,
  newStream,
  readRange,
  type SentMessage,
  type Stream,
  stateOf,
  truncate,
} from '../../session/history.js';
import type {
  AppendOutcome,
  AppendRequest,
  HistoryRange,
  HistoryRead,
  MessageBatch,
  MessageStore,
  StreamState,
} from '../../session/message-ports.js';
import { Rounds } from './rounds.js';
import { type StoreTime, storeTime } from './store-time.js';

const DAY_MS = 86_400_000;

export interface MemoryMessageStoreOptions {
  clock: Clock;
  bus: { publish(batch: MessageBatch): Promise<void> };
  /** Who has the session, by the store that says so. */
  records: (sessionId: string) => HistoryContext['owner'];
  /** Which run of the store this is. */
  runId?: () => string;
}

interface Kept {
  stream: Stream;
  /** How long the position outlives its last use. */
  keepMs: number;
  untilMs: number;
}

/** Messages within one process. Each verb runs `history.ts` synchronously, which makes it atomic. */
export class MemoryMessageStore implements MessageStore {
  readonly #options: Required<MemoryMessageStoreOptions>;
  readonly #now: () => StoreTime;
  readonly #streams = new Map<string, Kept>();
  readonly #sent = new Map<string, SentMessage & { untilMs: number }>();
  readonly #streamRounds = new Rounds(this.#streams, ({ stream, untilMs }, nowMs) => {
    expire(stream, nowMs);
    return untilMs <= nowMs;
  });
  readonly #sentRounds = new Rounds(this.#sent, ({ untilMs }, nowMs) => untilMs <= nowMs);

  constructor(options: MemoryMessageStoreOptions) {
    this.#options = { runId: () => 'only', ...options };
    this.#now = storeTime(options.clock);
  }

  async append(request: AppendRequest): Promise<AppendOutcome> {
    const { sessionId, retention } = request;
    const now = this.#tick();
    const kept = this.#kept(sessionId, now) ?? this.#create(sessionId, now);
    const { outcome, batch } = append(kept.stream, request, {
      nowMs: now.ms,
      nowUs: now.us,
      runId: this.#options.runId(),
      owner: this.#options.records(sessionId),
      sent: this.#sentTo(sessionId, now.ms),
    });
    if (batch !== undefined) {
      kept.keepMs = retention.maxAgeMs + DAY_MS;
      kept.untilMs = now.ms + kept.keepMs;
      void this.#options.bus.publish(batch);
    }
    return outcome;
  }

  async read(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryRead> {
    const now = this.#tick();
    const stream = this.#kept(sessionId, now)?.stream;
    if (stream === undefined) return { state: NO_STREAM, entries: [] };
    return { state: stateOf(stream, now.ms), entries: readRange(stream, range, limit, now.ms) };
  }

  async states(sessionIds: readonly string[]): Promise<StreamState[]> {
    return sessionIds.map((sessionId) => {
      const state = this.state(sessionId);
      const kept = this.#streams.get(sessionId);
      if (kept !== undefined) kept.untilMs = this.#now().ms + kept.keepMs;
      return state;
    });
  }

  async truncate(sessionId: string, through: number): Promise<StreamState> {
    const now = this.#tick();
    const stream = this.#kept(sessionId, now)?.stream;
    if (stream === undefined) return NO_STREAM;
    truncate(stream, through);
    return stateOf(stream, now.ms);
  }

  async remove(sessionId: string): Promise<void> {
    this.#streams.delete(sessionId);
  }

  /** As a subscriber finds it: a session that has none gets its first. */
  state(sessionId: string): StreamState {
    const now = this.#tick();
    return stateOf((this.#kept(sessionId, now) ?? this.#create(sessionId, now)).stream, now.ms);
  }

  #tick(): StoreTime {
    const now = this.#now();
    this.#streamRounds.step(now.ms);
    this.#sentRounds.step(now.ms);
    return now;
  }

  #kept(sessionId: string, now: StoreTime): Kept | undefined {
    const kept = this.#streams.get(sessionId);
    return kept !== undefined && kept.untilMs > now.ms ? kept : undefined;
  }

  #create(sessionId: string, now: StoreTime): Kept {
    const stream = newStream({ nowUs: now.us, runId: this.#options.runId() });
    const kept = { stream, keepMs: DAY_MS, untilMs: now.ms + DAY_MS };
    this.#streams.set(sessionId, kept);
    return kept;
  }

  #sentTo(sessionId: string, nowMs: number): HistoryContext['sent'] {
    return {
      get: (hash) => {
        const sent = this.#sent.get(`${sessionId} ${hash}`);
        return sent !== undefined && sent.untilMs > nowMs ? sent : undefined;
      },
      set: (hash, message, keepMs) => {
        this.#sent.set(`${sessionId} ${hash}`, { ...message, untilMs: nowMs + keepMs });
      },
    };
  }
}
