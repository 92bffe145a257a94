import type { ServerMessage } from '../protocol/messages.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import { onAbort } from './abort.js';
import {
  Connection,
  type ConnectionState,
  type ConnectionTimings,
  type RelayedMessage,
  type Welcome,
} from './connection.js';
import type { ConnectionLogin } from './connection-login.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { isEndOfLogin, LOGIN_ENDED } from './login-end.js';
import { onWake } from './page.js';
import { type ErrorMessage, refusalOf } from './refusals.js';
import { Renewal } from './renewal.js';
import type { Session, SessionOptions } from './session.js';
import { SessionCore } from './session-core.js';
import type { SessionLink } from './session-link.js';
import { checkSocketOptions, type SocketOptions, urlsOf } from './socket.js';
import type { TokenStorage } from './storage.js';
import { Tokens } from './tokens.js';

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
  /** Aborted: `close()`. */
  signal?: AbortSignal | undefined;
}

export interface ClientEvents {
  connection: ConnectionState;
  /** What concerns no session. */
  error: ClientError;
}

/** How many sessions one frame asks for; at the longest ids and tokens still under the gateway's frame limit. */
const MAX_BATCH = 64;
/** Sessions of one client, as long as the gateway has not said how many it allows. */
const DEFAULT_MAX_SESSIONS = 128;

type LoginRenewed = Extract<ServerMessage, { type: 'login_renewed' }>;

/** One connection to the gateway and the sessions that go over it. It connects with the first session. */
export class Client {
  readonly #events = new Emitter<ClientEvents>();
  readonly #sessions = new Map<string, SessionCore>();
  readonly #connection: Connection;
  readonly #tokens: Tokens;
  readonly #link: SessionLink;
  readonly #renewal: Renewal;
  readonly #login: ConnectionLogin | undefined;
  /** Who is at the other end may change between two runs, or two attempts. */
  readonly #hasCredential: boolean;
  readonly #unlisten: (() => void)[] = [];
  #withdrawRenewal: (() => void) | undefined;
  #started = false;
  #requests = 0;
  #flushing = false;

  /** @internal Use `createClient`. */
  constructor(options: ClientOptions) {
    checkSocketOptions(options);
    const { login, getTicket, getAccessToken, signal } = options;
    const { connectTimeoutMs = 10_000, pingIntervalMs = 25_000, pongTimeoutMs = 8_000 } = options;
    const { requestTimeoutMs = 10_000, operationTimeoutMs = 30_000 } = options;
    const onError = (error: ClientError) => this.#events.emit('error', error);
    this.#tokens = new Tokens(options.storage, urlsOf(options)[0]);
    const timings = { connectTimeoutMs, pingIntervalMs, pongTimeoutMs };
    this.#connection = new Connection(
      { ...options, ...timings },
      {
        onState: (state) => this.#onConnection(state),
        onMessage: (message) => this.#onMessage(message),
        maxWaitMs: () => Math.min(...Array.from(this.#sessions.values(), ({ maxWaitMs }) => maxWaitMs)),
        onError,
      },
    );
    this.#link = {
      tokens: this.#tokens,
      requestTimeoutMs,
      operationTimeoutMs,
      send: (message) => this.#connection.send(message),
      wantSubscribe: () => this.#wantSubscribe(),
      dropConnection: () => this.#connection.drop(),
      nextRequestId: () => this.#nextRequestId(),
      ended: (session) => {
        if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
      },
    };
    this.#login = login;
    this.#hasCredential = (login ?? getTicket ?? getAccessToken) !== undefined;
    this.#renewal = new Renewal({ ...this.#link, getAccessToken: getAccessToken ?? login?.getAccessToken, onError });
    this.#unlisten.push(
      onWake(() => this.#connection.check()),
      login?.onEnded?.(() => this.#connection.stop(LOGIN_ENDED)) ?? (() => {}),
      onAbort(signal, () => this.close()),
    );
    // Aborted before all this was listened to.
    if (this.#connection.state.name === 'stopped') this.#release();
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
   * as it is, whatever the options now. `Received` and `Sent` are promises of the caller: no message is checked at run time.
   * @throws TypeError for a session id that no gateway accepts
   * @throws ClientError `too_many_subscriptions`, `stopped` after `close()`
   */
  session<Received = unknown, Sent = Received>(id: string, options: SessionOptions = {}): Session<Received, Sent> {
    return this.#session(id, options).session as Session<Received, Sent>;
  }

  #session(id: string, options: SessionOptions): SessionCore {
    if (!isSessionId(id)) throw new TypeError(`a session id is ${SESSION_ID_RULE}`);
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const { state } = this.#connection;
    if (state.name === 'stopped') throw new ClientError('stopped', 'the client is closed', { sessionId: id });
    const max = state.name === 'open' ? state.welcome.limits.max_subscriptions : DEFAULT_MAX_SESSIONS;
    if (this.#sessions.size >= max) {
      throw new ClientError('too_many_subscriptions', `more than ${max} sessions`, {
        sessionId: id,
      });
    }
    const session = new SessionCore(id, options, this.#link);
    if (session.state.name === 'stopped') return session;
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
    this.#connection.stop();
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.close());
  }

  #onConnection(state: ConnectionState): void {
    const sessions = Array.from(this.#sessions.values());
    if (state.name !== 'open') this.#leave();
    if (state.name === 'connecting') for (const session of sessions) session.connecting();
    else if (state.name === 'open') this.#onWelcome(state.welcome);
    else if (state.name !== 'stopped') for (const session of sessions) session.disconnected();
    else this.#onStopped(sessions, state.code);
    // Unless a session's listener has closed the client meanwhile, which has been told of.
    if (state === this.#connection.state) this.#events.emit('connection', state);
  }

  #onWelcome({ principal, features }: Welcome): void {
    if (this.#hasCredential) this.#tokens.belongTo(principal);
    if (features.includes('renew_login')) {
      this.#withdrawRenewal = this.#login?.offerRenewal?.(() => this.#renewal.start());
    }
    this.#wantSubscribe();
  }

  #leave(): void {
    this.#withdrawRenewal?.();
    this.#withdrawRenewal = undefined;
    this.#renewal.stop();
  }

  #onStopped(sessions: readonly SessionCore[], code: number | undefined): void {
    for (const session of sessions) session.stop(code === undefined ? 'closed' : 'gateway');
    // The gateway has freed what was owned, and whoever logs in next here must not find it.
    if (isEndOfLogin(code)) this.#tokens.clear();
    this.#release();
  }

  #release(): void {
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#tokens.close();
  }

  #onMessage(message: RelayedMessage): void {
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

  #onError(message: ErrorMessage): void {
    if (this.#renewal.refused(message)) return;
    const session = this.#sessions.get(message.session_id ?? '');
    if (session !== undefined) return session.receive(message);
    const asking = Array.from(this.#sessions.values()).filter((candidate) => candidate.awaits(message.id));
    for (const candidate of asking) candidate.receive(message);
    // With an id: the answer to something that was given up.
    if (asking.length === 0 && message.id === undefined) this.#events.emit('error', refusalOf(message));
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
    const waiting = Array.from(this.#sessions.values()).filter((session) => session.wantsSubscription);
    while (waiting.length > 0) {
      const id = this.#nextRequestId();
      const sessions = waiting.splice(0, MAX_BATCH).map((session) => session.takeSubscription(id));
      this.#connection.send({ type: 'subscribe', id, sessions });
    }
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
