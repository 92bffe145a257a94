/** What a connection sends: its limits, and the order in which it is handled. */

import { type DecodeError, decodeFrame } from '../protocol/codec.js';
import { HoldfastError } from '../protocol/errors.js';
import type { DecodedMessage } from '../protocol/messages.js';
import type { Waiting } from '../session/owner-sends.js';
import type { Connection } from './connection.js';
import type { ConnectionContext } from './connection-context.js';
import { dispatch } from './dispatch.js';
import { type Echo, PendingRequest, type Work } from './pending-request.js';
import { RequestLine } from './request-line.js';
import { TokenBucket } from './token-bucket.js';

/** Debt, as a multiple of the burst, beyond which a connection that ignores `rate_limited` is closed. */
const MAX_DEBT_BURSTS = 4;

/**
 * Of frames with messages that wait or are under way, of a connection and of a node. What was parsed may take up 20 times
 * as much.
 */
const MAX_PENDING_BYTES = 1024 * 1024;
const MAX_NODE_PENDING_BYTES = 32 * 1024 * 1024;

export class Inbox {
  readonly #connection: Connection;
  readonly #context: ConnectionContext;
  readonly #bucket: TokenBucket;
  #batchBucket: TokenBucket | undefined = undefined;
  #badFrames = 0;
  #pending = 0;
  #pendingBytes = 0;
  /** Of the frame in hand. */
  #frameBytes = 0;
  /** Of each session that has requests pending, and of none. */
  readonly #lines = new Map<string | undefined, RequestLine<PendingRequest>>();

  constructor(connection: Connection, context: ConnectionContext) {
    this.#connection = connection;
    this.#context = context;
    this.#bucket = new TokenBucket(context.limits.frames, context.clock.monotonicMs());
  }

  /** @param text undefined for a binary frame @param bytes the frame's, UTF-8 */
  receive(text: string | undefined, bytes: number): void {
    const decoded = text === undefined ? undefined : decodeFrame(text, bytes);
    this.#frameBytes = bytes;
    const waitMs = this.#charge();
    if (!this.#connection.open) return;
    if (decoded === undefined) {
      this.#bad({ code: 'malformed_frame', message: 'Frames are text; this one is binary' });
    } else if (!decoded.ok && decoded.counts) {
      this.#bad(decoded.error);
    } else if (waitMs > 0) {
      this.#rateLimited(waitMs, decoded.ok ? decoded.message : decoded.error);
    } else if (!decoded.ok) {
      this.fail(new HoldfastError(decoded.error.code, decoded.error.message), decoded.error);
    } else {
      this.#badFrames = 0;
      this.#accept(decoded.message);
    }
  }

  /**
   * Handles a request after all earlier ones of the same session (undefined: of none); those of other sessions do not
   * wait. An error that `work` throws is sent as the answer.
   */
  enqueue(sessionId: string | undefined, id: string | undefined, work: () => Promise<void>): void {
    this.#enqueue({ id, session_id: sessionId }, false, 0, (waiting) => void settle(work, waiting));
  }

  /**
   * As `enqueue`, for the frame in hand, but it does not wait for earlier ones that came in this way. They are started in
   * their order.
   */
  enqueueShared(message: Echo, work: Work): void {
    this.#enqueue(message, true, this.#frameBytes, work);
  }

  /** @throws HoldfastError `too_many_subscriptions` */
  requireRoom(): void {
    const { limits, sessions } = this.#context;
    if (sessions.subscriptionCount(this.#connection) < limits.maxSubscriptions) return;
    throw new HoldfastError('too_many_subscriptions', `A connection has at most ${limits.maxSubscriptions}`);
  }

  fail(error: HoldfastError, { id, session_id }: Echo): void {
    this.#connection.send({
      type: 'error',
      code: error.code,
      message: error.message,
      retryable: error.retryable,
      ...(error.retryAfterMs === undefined ? {} : { retry_after_ms: error.retryAfterMs }),
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(id === undefined ? {} : { id }),
      ...(session_id === undefined ? {} : { session_id }),
    });
  }

  /** For `PendingRequest`. */
  ended(request: PendingRequest, error: unknown): void {
    if (error !== undefined) this.#refuse(request, error);
    this.#pending -= 1;
    this.#count(-request.bytes);
    request.line.ended();
  }

  #enqueue(echo: Echo, shared: boolean, bytes: number, work: Work): void {
    if (this.#pending >= this.#context.limits.maxPendingRequests || !this.#hasRoom(bytes)) {
      this.fail(new HoldfastError('rate_limited', 'Too many requests are pending', { retryAfterMs: 100 }), echo);
      return;
    }
    this.#pending += 1;
    this.#count(bytes);
    const line = this.#lineOf(echo.session_id);
    line.add(new PendingRequest(this, line, echo, shared, bytes, work));
  }

  /** One alone is as large as a frame may be. */
  #hasRoom(bytes: number): boolean {
    const fits = this.#pendingBytes === 0 || this.#pendingBytes + bytes <= MAX_PENDING_BYTES;
    return bytes === 0 || (fits && this.#context.pending.bytes + bytes <= MAX_NODE_PENDING_BYTES);
  }

  #count(bytes: number): void {
    this.#pendingBytes += bytes;
    this.#context.pending.bytes += bytes;
  }

  #lineOf(sessionId: string | undefined): RequestLine<PendingRequest> {
    const known = this.#lines.get(sessionId);
    if (known !== undefined) return known;
    const line = new RequestLine<PendingRequest>(
      (request) => this.#perform(request),
      () => this.#lines.delete(sessionId),
    );
    this.#lines.set(sessionId, line);
    return line;
  }

  /**
   * Charges one frame; a refused one too, so that who goes on sending goes into debt.
   * @returns 0, or how long to wait
   */
  #charge(): number {
    const { clock, limits } = this.#context;
    const waitMs = this.#bucket.take(1, limits.frames, clock.monotonicMs());
    if (waitMs === 0) return 0;
    this.#bucket.tokens -= 1;
    if (this.#bucket.tokens < -MAX_DEBT_BURSTS * limits.frames.burst) this.#connection.close('rate_limited');
    return waitMs;
  }

  #accept(message: DecodedMessage): void {
    if (message.type === 'subscribe' && message.sessions.length > 1) {
      const { clock, limits } = this.#context;
      const nowMs = clock.monotonicMs();
      this.#batchBucket ??= new TokenBucket(limits.batch, nowMs);
      const waitMs = this.#batchBucket.take(message.sessions.length, limits.batch, nowMs);
      if (waitMs > 0) {
        this.#rateLimited(waitMs, message);
        return;
      }
    }
    dispatch(message, this.#connection, this, this.#context.sessions);
  }

  #bad(error: DecodeError): void {
    this.#badFrames += 1;
    const details = error.field === undefined ? {} : { field: error.field };
    this.fail(new HoldfastError(error.code, error.message, details), error);
    if (this.#badFrames >= this.#context.limits.maxBadFrames) this.#connection.close('protocol_violation');
  }

  #rateLimited(retryAfterMs: number, message: DecodedMessage | DecodeError): void {
    this.#context.telemetry.rateLimited();
    const session_id = 'session_id' in message ? message.session_id : undefined;
    this.fail(new HoldfastError('rate_limited', 'Too many frames', { retryAfterMs }), { id: message.id, session_id });
  }

  #perform(request: PendingRequest): void {
    if (this.#connection.open) request.work(request);
    else request.done();
  }

  #refuse(request: PendingRequest, error: unknown): void {
    if (error instanceof HoldfastError) {
      this.fail(error, request);
      return;
    }
    this.#context.log.error({ error, connection: this.#connection.id }, 'request failed unexpectedly');
    this.fail(new HoldfastError('internal', 'The node failed to handle this'), request);
  }
}

/** For what is asked seldom enough to have a promise. */
export async function settle(work: () => Promise<void>, waiting: Waiting): Promise<void> {
  let failure: unknown;
  try {
    await work();
  } catch (error) {
    failure = error;
  }
  waiting.done(failure);
}
