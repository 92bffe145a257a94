import { randomUUID } from 'node:crypto';
import type {
  AppendOutcome,
  AppendRequest,
  HistoryEntry,
  MessageBatch,
  MessageItem,
  MessageStore,
  Retention,
} from '../../src/session/message-ports.js';
import type { LeaseRef, OwnershipStore, OwnershipTimings, SessionBus, SessionLock } from '../../src/session/ports.js';
import { messageItem } from '../support/message-item.js';
import { freshHash, LONG_MS } from './harness.js';

/** What an implementation brings along to be held to the contract. */
export interface MessageHarness {
  store: MessageStore;
  /** Another node's store over the same data; where there is only one node, the same. */
  other: MessageStore;
  /** Over the same sessions. */
  ownership: OwnershipStore;
  /** Of the same sessions. */
  lock: SessionLock;
  /** Another node's, where there are several. */
  bus: SessionBus;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  /** Changes the server's run id and keeps the data; absent where that takes a real restart. */
  restart?: () => void;
  close(): Promise<void>;
}

export type MakeMessageHarness = (timings?: Partial<OwnershipTimings>) => Promise<MessageHarness>;

/** Room for everything that a test writes. */
export const AMPLE: Retention = { maxCount: 1_000, maxBytes: 1_048_576, maxAgeMs: LONG_MS, whenFull: 'drop_oldest' };

export const item = (text: string, extra: Partial<MessageItem> = {}): MessageItem =>
  messageItem(`,"data":"${text}"}`, extra);

/** A message that does nothing but fill that many bytes. */
export const filler = (bytes: number): MessageItem => messageItem('x'.repeat(bytes));

/** `offset text`, of messages that `item` made. */
export const textsOf = (messages: readonly { offset: number; tail: string | Buffer }[]): string[] =>
  messages.map(({ offset, tail }) => `${offset} ${tail.toString().slice(9, -2)}`);

export const resultsOf = ({ results }: AppendOutcome): string[] =>
  results.map((each) => ('offset' in each ? `${each.result} ${each.offset}` : each.result));

/** One session of one test, with everything that was published to it. */
export interface TestStream {
  id: string;
  /** One writer's next request. */
  request(items: readonly MessageItem[], extra?: Partial<AppendRequest>): AppendRequest;
  append(items: readonly MessageItem[], retention?: Partial<Retention>): Promise<AppendOutcome>;
  /** Appends one message for each text. */
  write(texts: readonly string[], retention?: Partial<Retention>): Promise<AppendOutcome>;
  /** The whole history. */
  entries(): Promise<HistoryEntry[]>;
  claim(connectionId: string, leaseMs?: number): Promise<LeaseRef>;
  /** All batches up to now, in the order in which they arrived. */
  batches(): Promise<MessageBatch[]>;
}

export class MessageBench {
  readonly #harness: MessageHarness;
  readonly #batches = new Map<string, MessageBatch[]>();
  readonly #barriers = new Map<string, () => void>();

  constructor(harness: MessageHarness) {
    this.#harness = harness;
    harness.bus.onEvent((event) => {
      if (event.kind === 'messages') this.#batches.get(event.sessionId)?.push(event);
      else if (event.kind === 'transfer_offer') this.#barriers.get(event.requestId)?.();
    });
  }

  async stream(id = `test:${randomUUID()}`): Promise<TestStream> {
    const { store, ownership, bus } = this.#harness;
    const batches: MessageBatch[] = [];
    this.#batches.set(id, batches);
    await bus.subscribe(id);
    const writerId = randomUUID();
    let sequence = 0;
    const request: TestStream['request'] = (items, extra) => {
      sequence += 1;
      return { sessionId: id, writerId, sequence, retention: AMPLE, items, ...extra };
    };
    const append: TestStream['append'] = (items, retention) =>
      store.append(request(items, { retention: { ...AMPLE, ...retention } }));
    return {
      id,
      request,
      append,
      write: (texts, retention) =>
        append(
          texts.map((text) => item(text)),
          retention,
        ),
      entries: async () => (await store.read(id, { after: 0 }, 1_000)).entries,
      claim: async (connectionId, leaseMs = LONG_MS) => {
        const { view } = await ownership.claim({
          sessionId: id,
          requestId: randomUUID(),
          connectionId,
          nodeId: 'node-1',
          bootId: 'boot-1',
          principal: 'principal-1',
          principalRule: 'exact',
          tokenHash: freshHash(),
          attemptHash: '',
          policy: 'next_subscriber',
          leaseMs,
          lockValue: '',
          mode: 'subscribe',
        });
        return { sessionId: id, connectionId: view.connectionId, epoch: view.epoch };
      },
      batches: async () => {
        await this.#barrier(id);
        return [...batches];
      },
    };
  }

  /** Events arrive in order: what was published before this offer is here once the offer is. */
  #barrier(sessionId: string): Promise<void> {
    const requestId = randomUUID();
    return new Promise((resolve, reject) => {
      this.#barriers.set(requestId, resolve);
      const offer = {
        kind: 'transfer_offer',
        sessionId,
        requestId,
        lockValue: '',
        expectedEpoch: 0,
        target: {},
      } as const;
      this.#harness.bus.publish(offer).catch(reject);
    });
  }
}
