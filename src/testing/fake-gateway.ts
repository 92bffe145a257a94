import type { SocketConstructor } from '../client/index.js';
import { payloadOf } from '../client/payload.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import type { ErrorCode } from '../protocol/error-codes.js';
import { HoldfastError } from '../protocol/errors.js';
import type { ClientMessage, OwnershipState } from '../protocol/messages.js';
import type { FakeAuth } from './fake-auth.js';
import type { FakeConnection } from './fake-connection.js';
import { ABNORMAL, type FakeGatewayOptions, FakeNode, type FakeRequest } from './fake-node.js';
import type { FakeSession } from './fake-session.js';

/** A session as the gateway has it. */
export interface FakeSessionView {
  readonly id: string;
  readonly state: OwnershipState;
  readonly ownerEpoch: number;
  /** The owner's connection, or the one that it is held for. */
  readonly ownerId: string | undefined;
  readonly principal: string | undefined;
  /** The messages that are kept: data, or bytes as base64. */
  readonly messages: readonly unknown[];
}

/** What a client may need for coming back once its wait is over. */
const RETURN_MARGIN_MS = 10_000;

/**
 * A gateway without a network, for unit tests: one process that keeps everything in memory, does what PROTOCOL.md says,
 * and what the test asks for. Its only timers are those of grace periods, credentials and silences, and they are the
 * global ones: with fake timers time passes when the test says so. Everything else happens in microtasks.
 */
export class FakeGateway {
  /** For `createClient`. Any other is as good: whatever goes through `WebSocket` arrives here. */
  readonly url = 'ws://gateway.test/v1/connect';
  /** For `createClient`, or in place of the global one. */
  readonly WebSocket: SocketConstructor;
  /** Logins and tickets. */
  readonly auth: FakeAuth;
  readonly #node: FakeNode;

  constructor(options: FakeGatewayOptions = {}) {
    this.#node = new FakeNode(options);
    this.WebSocket = this.#node.WebSocket;
    this.auth = this.#node.auth;
  }

  /** Those that are open, oldest first. */
  get connections(): readonly FakeConnection[] {
    return Array.from(this.#node.connections);
  }

  /** Those that anybody subscribed to. */
  get sessions(): readonly FakeSessionView[] {
    return Array.from(this.#node.sessions.values(), viewOf);
  }

  session(id: string): FakeSessionView {
    return viewOf(this.#node.session(id));
  }

  /** What clients sent, the last 10 000 messages: all, or those of a type. */
  sent(): readonly ClientMessage[];
  sent<T extends ClientMessage['type']>(type: T): readonly Extract<ClientMessage, { type: T }>[];
  sent(type?: ClientMessage['type']): readonly ClientMessage[] {
    return type === undefined ? this.#node.sent.slice() : this.#node.sent.filter((message) => message.type === type);
  }

  /**
   * As the application does.
   * @param data a JSON value, or bytes
   * @param options `ephemeral`: for who is there, and not kept
   * @returns the message's offset
   */
  publish(sessionId: string, data: unknown, options: { ephemeral?: boolean } = {}): number {
    return this.#node.session(sessionId).publish(payloadOf(data), {}, options.ephemeral);
  }

  /** Somebody who is no client of this test takes the session by force, and keeps it until `removeOwner`. */
  takeOver(sessionId: string, principal = 'somebody else'): void {
    this.#node.session(sessionId).record.take({ id: `c_other_${this.#node.nextNumber()}`, principal }, 'forced');
  }

  /** The application gives the session to a connection that follows it. */
  giveTo(sessionId: string, connection: FakeConnection): void {
    const { record } = this.#node.session(sessionId);
    if (!record.owns(connection)) record.take(connection, 'transferred');
  }

  /** The application frees the session. */
  removeOwner(sessionId: string): void {
    this.#node.session(sessionId).record.free('removed');
  }

  /** Ends the grace period of a session at once. @throws Error when the session is not held */
  expireGrace(sessionId: string): void {
    if (!this.#node.session(sessionId).expire()) throw new Error(`${sessionId} is not held for anybody`);
  }

  /** The owner is told that its lease is not confirmed, and may not act until it is. */
  doubtLease(sessionId: string): void {
    this.#node.session(sessionId).doubt(true);
  }

  confirmLease(sessionId: string): void {
    this.#node.session(sessionId).doubt(false);
  }

  /** Ends all subscriptions of the session: by the application, or because the right is gone. */
  endSubscriptions(sessionId: string, reason: 'removed' | 'forbidden' = 'removed'): void {
    const session = this.#node.session(sessionId);
    for (const connection of Array.from(session.subscribers)) connection.removed(session, reason);
  }

  /** All messages are lost. Who follows the session hears `reset`, and who comes back that nothing was recovered. */
  loseHistory(sessionId: string): void {
    this.#node.session(sessionId).loseHistory();
  }

  /** Connections break: what is under way is lost, the client hears 1006. */
  drop(connection?: FakeConnection): void {
    this.#each(connection, (it) => it.drop());
  }

  /** Closes connections as the gateway does, behind what it has sent. */
  close(code: number, connection?: FakeConnection): void {
    this.#each(connection, (it) => it.close(code));
  }

  /**
   * Half-open connections: nothing arrives on either side, and nobody is told, until `speak`. Without a connection all of
   * them, attempts to connect and requests for logins included. The gateway gives one up that is silent for 33 s.
   */
  goSilent(connection?: FakeConnection): void {
    this.#each(connection, (it) => it.silence(true));
    if (connection === undefined) this.#node.silence(true);
  }

  /** Ends `goSilent`. What was sent meanwhile arrives, as it does over TCP. */
  speak(connection?: FakeConnection): void {
    this.#each(connection, (it) => it.silence(false));
    if (connection === undefined) this.#node.silence(false);
  }

  /**
   * The next attempts fail.
   * @param count how many; 0 ends it
   * @param code as if there were nobody (1006), or after the upgrade with this close code
   */
  refuseConnections(count = Number.POSITIVE_INFINITY, code = ABNORMAL): void {
    this.#node.refused = { left: count, code };
  }

  /** The next request of that type, or to that route of `/v1/auth`, is refused. Several times: one after the other. */
  refuseNext(what: FakeRequest, code: ErrorCode, details: { retryAfterMs?: number } = {}): void {
    const refusals = this.#node.refusals.get(what) ?? [];
    refusals.push(new HoldfastError(code, `refused by the test: ${code}`, details));
    this.#node.refusals.set(what, refusals);
  }

  /** The credentials of all connections end without having been renewed (4201). */
  expireLogin(): void {
    this.#each(undefined, (it) => it.credential !== undefined && it.close(CLOSE_CODES.login_expired));
  }

  /**
   * The logins of a principal end, or all: with 4002 as after a logout elsewhere, with 4001 by the application, with 4003
   * after a refresh token was used twice.
   */
  endLogin(code: 4001 | 4002 | 4003 = CLOSE_CODES.login_ended, principal?: string): void {
    this.auth.endLogins(code, principal);
  }

  /** The node restarts: tells everybody when to come back and closes with 1012. Who comes then finds another node. */
  drain(afterMs = 0, jitterMs = 0): void {
    this.#node.runs++;
    const holdMs = Math.max(this.#node.graceMs, afterMs + jitterMs + RETURN_MARGIN_MS);
    for (const connection of this.connections) {
      connection.send({ type: 'reconnect', after_ms: afterMs, jitter_ms: jitterMs, reason: 'drain' });
      connection.close(CLOSE_CODES.restart, { holdMs });
    }
  }

  /** Breaks all connections, refuses further ones, and leaves no timer. */
  stop(): void {
    this.refuseConnections();
    this.speak();
    this.drop();
    for (const session of this.#node.sessions.values()) session.stop();
  }

  #each(meant: FakeConnection | undefined, act: (connection: FakeConnection) => void): void {
    for (const connection of this.connections) if (meant === undefined || meant === connection) act(connection);
  }
}

function viewOf({ id, record, stream }: FakeSession): FakeSessionView {
  const { state, epoch: ownerEpoch, owner } = record;
  const messages = stream.entries.map((entry) => ('bytes' in entry ? entry.bytes : entry.data));
  return { id, state, ownerEpoch, ownerId: owner?.id, principal: owner?.principal, messages };
}
