/// <reference lib="esnext.disposable" preserve="true" />
import type { OwnershipReason, Position } from '../protocol/messages.js';
import type { Abortable } from './abort.js';
import type { ClientError } from './errors.js';
import type { Message, MessageEvents } from './incoming.js';
import { type MessagesOptions, messageStream } from './message-stream.js';
import { payloadOf } from './payload.js';
import { randomId } from './random-id.js';
import type { SessionCore } from './session-core.js';
import type { Ownership, SessionState } from './session-state.js';

export interface SessionOptions {
  /** `if_free` (default): become the owner on subscribing when nobody is. `never`: only with `claim()`. */
  claim?: 'if_free' | 'never';
  /**
   * Begin with what came after this position; `oldest`: with all that is kept. Default: with what comes from now on. Later
   * subscriptions, after a lost connection, always go on where the one before ended.
   */
  since?: Position | 'oldest';
  /** Aborted: `unsubscribe()`. */
  signal?: AbortSignal | undefined;
}

export interface SessionEvents<Received = unknown> extends MessageEvents<Received> {
  state: { state: SessionState; previous: SessionState };
  /** Each change of ownership that the gateway tells of, the client's own included. */
  ownership: { ownership: Ownership; owner: boolean; reason: OwnershipReason };
  /** What the gateway refused without an operation to reject, and what ended the session. */
  error: ClientError;
}

/**
 * One session of a client. Made by `client.session()`; stays subscribed over lost connections until it is stopped.
 * `Received` and `Sent` are what the application says of its messages: nothing checks them at run time.
 */
export class Session<Received = unknown, Sent = Received> {
  readonly id: string;
  readonly #core: SessionCore;

  /** @internal */
  constructor(core: SessionCore) {
    this.id = core.id;
    this.#core = core;
  }

  get state(): SessionState {
    return this.#core.state;
  }

  /** Up to where its messages have arrived; undefined before the first subscription. */
  get position(): Position | undefined {
    return this.#core.position;
  }

  /** @returns what takes the listener off again */
  on<E extends keyof SessionEvents>(event: E, listener: (value: SessionEvents<Received>[E]) => void): () => void {
    return this.#core.events.on(event, listener as (value: SessionEvents[E]) => void);
  }

  /**
   * The messages that come from this call on, in order, over lost connections too. Ends when the session is unsubscribed
   * or the client closed; `return()`, which leaving a `for await` calls, takes its listeners off. Who reads more slowly
   * than messages come loses the stream, not the session: begin another from `position`.
   * @throws ClientError from the stream: `queue_full` after the messages that fit into `limit`; when the gateway ended
   * the session the code that says why, else `stopped`
   */
  messages(options?: MessagesOptions): AsyncIterableIterator<Message<Received>> {
    return messageStream<Received>(this, options);
  }

  /** As `messages()`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Received>> {
    return this.messages();
  }

  /**
   * Becomes the owner; resolves at once for one who is. While the connection is away it waits for it.
   * @param options `force`: also from another owner, with that right
   * @throws ClientError `session_owned`, `session_held`, `forbidden`, `timeout`, `stopped`, …
   */
  claim({ force, signal }: { force?: boolean } & Abortable = {}): Promise<void> {
    return this.#core.claim(force, signal);
  }

  /**
   * Gives the session up and goes on watching, also over lost connections, until `claim()`. Resolves at once for one
   * who does not own it.
   * @throws ClientError `timeout`, `stopped`, …
   */
  release({ signal }: Abortable = {}): Promise<void> {
    return this.#core.release(signal);
  }

  /**
   * Ends the subscription; an owner frees the session at once. When no answer comes in time the session ends here all
   * the same, and at the gateway with its grace period.
   */
  unsubscribe({ signal }: Abortable = {}): Promise<void> {
    return this.#core.unsubscribe(signal);
  }

  /** As `unsubscribe()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.unsubscribe();
  }

  /**
   * Sends a message to everybody in the session, which only its owner may. While the connection is away it waits for it;
   * sent again after a lost connection it is still one message. Sends keep their order, except that one which the gateway
   * refused for now (`rate_limited`) may be overtaken by those that were on their way then. At most 256 wait.
   * @param data a JSON value, or bytes
   * @param options `idempotencyKey`: 1 to 255 visible ASCII characters; one is made up when absent. For 5 minutes the
   * same key is the same message, from whichever client of the principal
   * @throws ClientError `not_owner`, `forbidden`, `message_too_large`, `message_rejected`, `history_full`, `queue_full`,
   * `timeout` when it is not known whether it was sent, `stopped`, …
   * @throws TypeError for what JSON cannot say
   */
  async send(
    data: Sent | Uint8Array,
    { idempotencyKey = randomId(), signal }: { idempotencyKey?: string } & Abortable = {},
  ): Promise<{ offset: number }> {
    const message = { session_id: this.id, idempotency_key: idempotencyKey, ...payloadOf(data) };
    const { offset } = await this.#core.post<'send'>({ type: 'send', ...message }, signal);
    return { offset };
  }

  /**
   * Tells the owner and the application something that is not kept: "stop", "approve". Sent at most once.
   * @param data a JSON value, or bytes
   * @returns whether there was an owner to be told
   * @throws ClientError as `send` does
   */
  async signal(data: unknown, { signal }: Abortable = {}): Promise<{ owner: boolean }> {
    const message = { session_id: this.id, ...payloadOf(data) };
    const { owner } = await this.#core.post<'signal'>({ type: 'signal', ...message }, signal);
    return { owner };
  }
}
