import type { ClientMessage, ServerMessage } from '../protocol/messages.js';
import { onAbort } from './abort.js';
import { ClientError } from './errors.js';
import { type ErrorMessage, isTriedAgain, refusalOf } from './refusals.js';
import { requestDelayMs } from './retry-plan.js';
import type { SessionLink } from './session-link.js';

export interface Outgoing {
  send: Extract<ClientMessage, { type: 'send' }>;
  signal: Extract<ClientMessage, { type: 'signal' }>;
}
export interface Answers {
  send: Extract<ServerMessage, { type: 'send_ack' }>;
  signal: Extract<ServerMessage, { type: 'signal_ack' }>;
}
type Kind = keyof Outgoing;
type Answer = Answers[Kind];

interface Entry {
  readonly message: Outgoing[Kind];
  /** Of the request on its way; undefined while it waits to be sent. */
  requestId: string | undefined;
  failures: number;
  settle(answer: Answer): void;
  fail(reason: unknown): void;
}

const MAX_WAITING = 256;
/** Fewer than a gateway takes of one connection: one that it refuses could be overtaken by those behind it. */
const MAX_UNDER_WAY = 32;
/** By how much an answer raises that number again after a refusal for now, which sets it to 1. */
const RECOVERY = 1 / 8;

/**
 * One session's sends and signals until they are answered, in order and without waiting for one before the next. A send
 * outlives its connection: it goes out again under its idempotency key. A signal, which has none, does not.
 */
export class Outbox {
  readonly #sessionId: string;
  readonly #link: SessionLink;
  readonly #isSubscribed: () => boolean;
  readonly #entries = new Set<Entry>();
  #maxUnderWay = MAX_UNDER_WAY;
  #wait: ReturnType<typeof setTimeout> | undefined;

  constructor(sessionId: string, link: SessionLink, isSubscribed: () => boolean) {
    this.#sessionId = sessionId;
    this.#link = link;
    this.#isSubscribed = isSubscribed;
  }

  /** @returns the gateway's answer; rejects with ClientError, or the reason of `signal` */
  add<K extends Kind>(message: Outgoing[K], signal?: AbortSignal): Promise<Answers[K]> {
    if (this.#entries.size >= MAX_WAITING) {
      return Promise.reject(this.#error('queue_full', `more than ${MAX_WAITING} messages wait`));
    }
    return new Promise((resolve, reject) => {
      let unlisten = (): void => {};
      const late = () => entry.fail(this.#error('timeout', `no answer to ${message.type}`));
      const timer = setTimeout(late, this.#link.operationTimeoutMs);
      const done = () => {
        clearTimeout(timer);
        unlisten();
        this.#entries.delete(entry);
        this.flush();
      };
      const entry: Entry = {
        message,
        requestId: undefined,
        failures: 0,
        settle: (answer) => {
          resolve(answer as Answers[K]);
          done();
        },
        fail: (reason) => {
          reject(reason);
          done();
        },
      };
      this.#entries.add(entry);
      unlisten = onAbort(signal, entry.fail);
      this.flush();
    });
  }

  /** Sends what waits, oldest first, while that is possible. */
  flush(): void {
    if (this.#wait !== undefined || !this.#isSubscribed()) return;
    let underWay = 0;
    for (const entry of this.#entries) {
      if (++underWay > this.#maxUnderWay) return;
      if (entry.requestId !== undefined) continue;
      entry.requestId = this.#link.nextRequestId();
      if (this.#link.send({ id: entry.requestId, ...entry.message })) continue;
      entry.fail(this.#error('message_too_large', 'larger than the gateway takes'));
    }
  }

  awaits(requestId: string | undefined): boolean {
    return this.#find(requestId) !== undefined;
  }

  answered(answer: Answer): void {
    this.#maxUnderWay = Math.min(MAX_UNDER_WAY, this.#maxUnderWay + RECOVERY);
    this.#find(answer.id)?.settle(answer);
  }

  refused(error: ErrorMessage): void {
    const entry = this.#find(error.id);
    if (entry === undefined) return;
    if (!isTriedAgain(error)) return entry.fail(refusalOf(error, this.#sessionId));
    entry.requestId = undefined;
    // Gateways charge what they refuse too: more at once would come to less.
    this.#maxUnderWay = 1;
    clearTimeout(this.#wait);
    this.#wait = setTimeout(
      () => {
        this.#wait = undefined;
        this.flush();
      },
      requestDelayMs(entry.failures++, error.retry_after_ms),
    );
  }

  /** The connection is gone, and with it the answers on their way. */
  disconnected(): void {
    clearTimeout(this.#wait);
    this.#wait = undefined;
    for (const entry of Array.from(this.#entries)) {
      const wasSent = entry.requestId !== undefined;
      entry.requestId = undefined;
      if (!wasSent || entry.message.type === 'send') continue;
      entry.fail(this.#error('timeout', 'connection lost before the answer to signal'));
    }
  }

  stop(): void {
    this.disconnected();
    for (const { message, fail } of Array.from(this.#entries)) {
      fail(this.#error('stopped', `ended before the answer to ${message.type}`));
    }
  }

  #find(requestId: string | undefined): Entry | undefined {
    if (requestId === undefined) return undefined;
    for (const entry of this.#entries) if (entry.requestId === requestId) return entry;
    return undefined;
  }

  #error(code: ClientError['code'], message: string): ClientError {
    return new ClientError(code, message, { sessionId: this.#sessionId });
  }
}
