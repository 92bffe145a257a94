import type { ErrorCode } from '../protocol/error-codes.js';
import type { ServerMessage, Subscription } from '../protocol/messages.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import { Connection, type ConnectionState, type ConnectionTimings } from './connection.js';
import type { ConnectionLogin } from './connection-login.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { onWake } from './page.js';
import { Renewal } from './renewal.js';
import { Session, type SessionOptions } from './session.js';
import type { SessionLink } from './session-link.js';
import { checkSocketOptions, type SocketOptions } from './socket.js';
import { type TokenStorage, Tokens } from './tokens.js';

export interface ClientOptions extends SocketOptions, Partial<ConnectionTimings> {
  /**
   * Where reconnect tokens outlive this run; without it they are kept in memory. In a page `sessionStorage`: a reload
   * then keeps its sessions and a duplicated tab does not take them. Elsewhere anything with the same three methods.
   */
  storage?: TokenStorage;
  /** A request that is not answered for so long costs the connection. Default 10 000 ms. */
  requestTimeoutMs?: number;
  /**
   * How long `claim`, `release` and `unsubscribe` try, over lost connections too. Default 30 000 ms, for which the
   * gateway knows a repeated attempt again.
   */
  operationTimeoutMs?: number;
}

export interface ClientEvents {
  connection: ConnectionState;
  /** What concerns no session. */
  error: ClientError;
}

const DEFAULT_TIMINGS: ConnectionTimings = {
  connectTimeoutMs: 10_000,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
};
/** How many sessions one frame asks for; at the longest ids and tokens still under the gateway's frame limit. */
const MAX_BATCH = 64;
/** Sessions of one client, as long as the gateway has not said how many it allows. */
const DEFAULT_MAX_SESSIONS = 128;

type LoginRenewed = Extract<ServerMessage, { type: 'login_renewed' }>;

/** One connection to the gateway and the sessions that go over it. It connects with the first session. */
export class Client {
  readonly #events = new Emitter<ClientEvents>();
  readonly #sessions = new Map<string, Session>();
  readonly #connection: Connection;
  readonly #tokens: Tokens;
  readonly #link: SessionLink;
  readonly #renewal: Renewal;
  readonly #login: ConnectionLogin | undefined;
  readonly #unlisten: () => void;
  #started = false;
  #requests = 0;
  #flushing = false;

  /** @internal Use `createClient`. */
  constructor(options: ClientOptions) {
    checkSocketOptions(options);
    const { connectTimeoutMs, pingIntervalMs, pongTimeoutMs } = { ...DEFAULT_TIMINGS, ...options };
    this.#tokens = new Tokens(options.storage, options.url);
    this.#connection = new Connection(
      options,
      { connectTimeoutMs, pingIntervalMs, pongTimeoutMs },
      {
        onState: (state) => this.#onConnection(state),
        onMessage: (message) => this.#onMessage(message),
        onConnectFailure: (cause) => {
          this.#events.emit('error', new ClientError('connect_failed', 'the attempt could not begin', { cause }));
        },
      },
    );
    this.#link = {
      tokens: this.#tokens,
      requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
      operationTimeoutMs: options.operationTimeoutMs ?? 30_000,
      send: (message) => this.#connection.send(message),
      wantSubscribe: () => this.#wantSubscribe(),
      dropConnection: () => this.#connection.drop(),
      nextRequestId: () => this.#nextRequestId(),
      ended: (session) => {
        if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
      },
    };
    const { login } = options;
    this.#login = login;
    this.#renewal = new Renewal({
      requestTimeoutMs: this.#link.requestTimeoutMs,
      getAccessToken: options.getAccessToken ?? login?.getAccessToken,
      send: (message) => this.#connection.send(message),
      nextRequestId: () => this.#nextRequestId(),
      onError: (error) => this.#events.emit('error', error),
    });
    this.#unlisten = onWake(() => this.#connection.check());
  }

  get connection(): ConnectionState {
    return this.#connection.state;
  }

  /** @returns what takes the listener off again */
  on<E extends keyof ClientEvents>(event: E, listener: (value: ClientEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * The session with that id, subscribed as soon as there is a connection. One that is there already is given again,
   * as it is.
   * @throws TypeError for a session id that no gateway accepts
   * @throws ClientError `too_many_subscriptions`, `stopped` after `close()`
   */
  session(id: string, options: SessionOptions = {}): Session {
    if (!isSessionId(id)) throw new TypeError(`a session id is ${SESSION_ID_RULE}`);
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const { state } = this.#connection;
    if (state.name === 'stopped') throw new ClientError('stopped', 'the client is closed', { sessionId: id });
    const max = state.name === 'open' ? state.welcome.limits.max_subscriptions : DEFAULT_MAX_SESSIONS;
    if (this.#sessions.size >= max) {
      throw new ClientError('too_many_subscriptions', `a connection follows at most ${max} sessions`, {
        sessionId: id,
      });
    }
    const session = new Session(id, options, this.#link);
    this.#sessions.set(id, session);
    // Not now: the caller is about to add its listeners.
    queueMicrotask(() => {
      if (!this.#started) this.resume();
      else if (this.#connection.state.name !== 'paused') session.connecting();
      this.#wantSubscribe();
    });
    return session;
  }

  /** Closes the connection and stays away until `resume()`. Sessions that it owns are held for their grace period. */
  pause(): void {
    this.#started = true;
    this.#connection.pause();
  }

  /** Ends `pause()`. */
  resume(): void {
    this.#started = true;
    this.#connection.resume();
  }

  /** Gives the connection up as if it were lost, and makes another at once. */
  reconnect(): void {
    this.#connection.reconnect();
  }

  /**
   * Ends the client. What it owns is held at the gateway for the grace period, and taken back by the next client with
   * the same `storage`; to free it at once, `release()` or `unsubscribe()` first.
   */
  close(): void {
    this.#unlisten();
    this.#connection.close();
    this.#tokens.close();
  }

  #onConnection(state: ConnectionState): void {
    const sessions = Array.from(this.#sessions.values());
    if (state.name !== 'open') this.#renewal.stop();
    if (state.name === 'connecting') for (const session of sessions) session.connecting();
    else if (state.name === 'open') this.#wantSubscribe();
    else if (state.name !== 'stopped') for (const session of sessions) session.disconnected();
    else for (const session of sessions) session.stop(state.code === undefined ? 'closed' : 'gateway');
    this.#events.emit('connection', state);
  }

  #onMessage(message: ServerMessage): void {
    if (message.type === 'welcome' || message.type === 'pong' || message.type === 'reconnect') return;
    if (message.type === 'error') return this.#onError(message);
    if (message.type === 'login_expiring') return this.#renewal.start();
    if (message.type === 'login_renewed') return this.#onLoginRenewed(message);
    // A type that this client is too young for may lack a session.
    this.#sessions.get((message as { session_id?: string }).session_id ?? '')?.receive(message);
  }

  #onLoginRenewed({ access_token: accessToken, expires_at: expiresAt }: LoginRenewed): void {
    this.#renewal.stop();
    if (accessToken !== undefined) this.#login?.renewed(accessToken, expiresAt);
  }

  #onError(message: Extract<ServerMessage, { type: 'error' }>): void {
    if (this.#renewal.refused(message)) return;
    const session = this.#sessions.get(message.session_id ?? '');
    if (session !== undefined) return session.receive(message);
    const asking = Array.from(this.#sessions.values()).filter((candidate) => candidate.awaits(message.id));
    for (const candidate of asking) candidate.receive(message);
    if (asking.length === 0) this.#emitError(message);
  }

  #emitError({
    code,
    message,
    retry_after_ms: retryAfterMs,
  }: {
    code: ErrorCode;
    message: string;
    retry_after_ms?: number;
  }): void {
    this.#events.emit('error', new ClientError(code, message, { retryAfterMs }));
  }

  #wantSubscribe(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#subscribe();
    });
  }

  /** All that are not subscribed, in as few frames as there must be. */
  #subscribe(): void {
    if (this.#connection.state.name !== 'open') return;
    let id = this.#nextRequestId();
    let batch: Subscription[] = [];
    for (const session of Array.from(this.#sessions.values())) {
      const subscription = session.takeSubscription(id);
      if (subscription === undefined) continue;
      batch.push(subscription);
      if (batch.length < MAX_BATCH) continue;
      this.#connection.send({ type: 'subscribe', id, sessions: batch });
      id = this.#nextRequestId();
      batch = [];
    }
    if (batch.length > 0) this.#connection.send({ type: 'subscribe', id, sessions: batch });
  }

  #nextRequestId(): string {
    this.#requests++;
    return String(this.#requests);
  }
}

/**
 * A client of the gateway at `url`.
 * @throws TypeError when the options do not go together
 */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
