import type { ClientMessage } from '../protocol/messages.js';
import { onAbort } from './abort.js';
import { ClientError } from './errors.js';
import { randomId } from './random-id.js';

export type OperationKind = 'claim' | 'release' | 'unsubscribe';

/** Something that the application asked of a session and that is not answered yet. */
export interface Operation {
  readonly kind: OperationKind;
  readonly message: Extract<ClientMessage, { type: OperationKind }>;
  /** Tries that the gateway answered with "not now". */
  failures: number;
  /** The owner epoch that was known when it was sent last. */
  ownerEpoch: number;
  settle(reason?: unknown): void;
}

export interface OperationOptions {
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  onGivenUp(): void;
}

const MAX_WAITING = 16;

/**
 * One session's operations, one after the other. Each keeps its `attempt_id` however often it is sent, so that the
 * gateway knows a repeat from a second wish, and ends after `timeoutMs` whatever happens.
 */
export class Operations {
  readonly #sessionId: string;
  readonly #timeoutMs: number;
  readonly #queue: Operation[] = [];

  /** @param timeoutMs no longer than the gateway remembers an `attempt_id` */
  constructor(sessionId: string, timeoutMs: number) {
    this.#sessionId = sessionId;
    this.#timeoutMs = timeoutMs;
  }

  get current(): Operation | undefined {
    return this.#queue[0];
  }

  /** True when the session is about to be given up. */
  get endsOwnership(): boolean {
    return this.#queue.some(({ kind }) => kind !== 'claim');
  }

  /**
   * @param options `force`: of a claim. `onGivenUp`: it timed out or was aborted
   * @returns what settles with the operation; rejects with ClientError, or the reason of `signal`
   */
  add(kind: OperationKind, { force, signal, onGivenUp }: OperationOptions): Promise<void> {
    const sessionId = this.#sessionId;
    if (this.#queue.length >= MAX_WAITING) {
      const message = `more than ${MAX_WAITING} operations wait`;
      return Promise.reject(new ClientError('queue_full', message, { sessionId }));
    }
    return new Promise((resolve, reject) => {
      let unlisten = (): void => {};
      const giveUp = (reason: unknown) => {
        operation.settle(reason);
        onGivenUp();
      };
      const late = () => giveUp(new ClientError('timeout', `no answer to ${kind}`, { sessionId }));
      const timer = setTimeout(late, this.#timeoutMs);
      const operation: Operation = {
        kind,
        message: messageOf(kind, sessionId, force),
        failures: 0,
        ownerEpoch: 0,
        settle: (reason) => {
          clearTimeout(timer);
          unlisten();
          const index = this.#queue.indexOf(operation);
          if (index >= 0) this.#queue.splice(index, 1);
          if (reason === undefined) resolve();
          else reject(reason);
        },
      };
      this.#queue.push(operation);
      unlisten = onAbort(signal, giveUp);
    });
  }

  /** Ends all: an unsubscription as done, since that is what became of it, the others with `stopped`. */
  stop(): void {
    for (const operation of Array.from(this.#queue)) {
      const message = `ended before the answer to ${operation.kind}`;
      const error = new ClientError('stopped', message, { sessionId: this.#sessionId });
      operation.settle(operation.kind === 'unsubscribe' ? undefined : error);
    }
  }
}

function messageOf(kind: OperationKind, sessionId: string, force = false): Operation['message'] {
  if (kind !== 'claim') return { type: kind, session_id: sessionId };
  return { type: 'claim', session_id: sessionId, attempt_id: randomId(), ...(force && { force }) };
}
