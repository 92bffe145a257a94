import { closeAction } from '../protocol/close-codes.js';
import type { ClientMessage, ServerMessage } from '../protocol/messages.js';
import { ClientError } from './errors.js';
import { endOfLogin } from './login-end.js';
import { MAX_HINT_MS, planRetry, type ReconnectHint } from './retry-plan.js';
import { makeOffer, openSocket, parseMessage, type SocketLike, type SocketOptions } from './socket.js';

export type Welcome = Extract<ServerMessage, { type: 'welcome' }>;

/** `waiting`: until the next attempt. `paused`: until `resume`. `stopped`: for good, by `close` or by the gateway. */
export type ConnectionState =
  | { readonly name: 'connecting' }
  | { readonly name: 'open'; readonly welcome: Welcome }
  | { readonly name: 'waiting'; readonly delayMs: number; readonly code: number }
  | { readonly name: 'paused' }
  | { readonly name: 'stopped'; readonly code: number | undefined };

export interface ConnectionTimings {
  /** From the attempt's begin to the gateway's welcome. */
  connectTimeoutMs: number;
  /** At most this between two pings; the gateway may ask for less. */
  pingIntervalMs: number;
  /** A connection that has been silent for so long after a ping is dead. */
  pongTimeoutMs: number;
}

export interface ConnectionListener {
  onState(state: ConnectionState): void;
  onMessage(message: ServerMessage): void;
  /** An attempt that could not even begin: the login, or the caller's `protocols` or `getAccessToken`, failed. */
  onConnectFailure(cause: unknown): void;
}

/** A connection that lasted this long counts as a success, after which the backoff begins anew. */
const STABLE_MS = 5_000;
/** A silent peer that hears the close after all learns that it came too late. */
const GONE = 4_900;
/** After a sleep a dead connection is likelier than a slow one. */
const CHECK_TIMEOUT_MS = 3_000;
const NORMAL = 1_000;
const ABNORMAL = 1_006;

/** One WebSocket after the other: connects, pings, notices a dead peer, and comes back as the gateway asks. */
export class Connection {
  readonly #options: SocketOptions;
  readonly #timings: ConnectionTimings;
  readonly #listener: ConnectionListener;
  #state: ConnectionState = { name: 'paused' };
  #socket: SocketLike | undefined;
  /** Whatever belongs to an earlier attempt is ignored. */
  #generation = 0;
  #attempt = 0;
  #openedAtMs = 0;
  #hint: ReconnectHint | undefined;
  /** The gateway closed because of the credential. */
  #mustRefreshLogin = false;
  /** The one timer of the phase: connect time-out, next ping, or next attempt. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SocketOptions, timings: ConnectionTimings, listener: ConnectionListener) {
    this.#options = options;
    this.#timings = timings;
    this.#listener = listener;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Connects unless it does already. */
  resume(): void {
    if (this.#state.name === 'paused') void this.#connect();
  }

  /** Closes the socket and stays away until `resume`. */
  pause(): void {
    if (this.#state.name === 'stopped' || this.#state.name === 'paused') return;
    this.#leave(NORMAL);
    this.#enter({ name: 'paused' });
  }

  /** Gives up a socket that answers nothing. */
  drop(): void {
    if (this.#state.name === 'open' || this.#state.name === 'connecting') this.#lost(ABNORMAL, GONE);
  }

  /** Connects anew because somebody wants it, which is no failure to back off from. */
  reconnect(): void {
    this.#attempt = 0;
    if (this.#state.name === 'waiting') void this.#connect();
    else this.drop();
  }

  /** Finds out at once whether the connection lives; ends a wait for the next attempt. */
  check(): void {
    if (this.#state.name === 'waiting') void this.#connect();
    else if (this.#state.name === 'open') this.#ping(Math.min(CHECK_TIMEOUT_MS, this.#timings.pongTimeoutMs));
  }

  close(): void {
    if (this.#state.name === 'stopped') return;
    this.#leave(NORMAL);
    this.#enter({ name: 'stopped', code: undefined });
  }

  /** Only while open; what is sent otherwise is dropped. */
  send(message: ClientMessage): void {
    if (this.#state.name === 'open') this.#socket?.send(JSON.stringify(message));
  }

  async #connect(): Promise<void> {
    this.#leave(NORMAL);
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    this.#enter({ name: 'connecting' });
    if (!isCurrent()) return;
    this.#timer = setTimeout(() => this.#lost(ABNORMAL, GONE), this.#timings.connectTimeoutMs);
    let socket: SocketLike;
    try {
      await this.#refreshLogin();
      const offer = await makeOffer(this.#options);
      if (!isCurrent()) return;
      socket = openSocket(this.#options, offer);
    } catch (error) {
      if (!isCurrent()) return;
      this.#listener.onConnectFailure(error);
      if (isCurrent()) this.#failed(error);
      return;
    }
    socket.addEventListener('error', () => {
      // The close event that follows says all there is to know.
    });
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      if (isCurrent()) this.#receive(data);
    });
    socket.addEventListener('close', ({ code }) => {
      if (isCurrent()) this.#lost(code, NORMAL);
    });
  }

  /** After a close that asks for it, before anything else is tried with the old credential. */
  async #refreshLogin(): Promise<void> {
    if (!this.#mustRefreshLogin) return;
    await this.#options.login?.refresh();
    this.#mustRefreshLogin = false;
  }

  /** An attempt that could not begin. Whether the login is over is for the gateway to say, never for a lost answer. */
  #failed(error: unknown): void {
    const code = endOfLogin(error);
    if (code === undefined) return this.#lost(ABNORMAL, NORMAL, error instanceof ClientError ? error.retryAfterMs : 0);
    this.#leave(NORMAL);
    this.#enter({ name: 'stopped', code });
  }

  #receive(data: unknown): void {
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
    const message = parseMessage(data);
    if (message === undefined || message.type === 'pong') return;
    if (message.type === 'welcome') return this.#opened(message);
    if (message.type === 'reconnect') this.#hint = { afterMs: message.after_ms, jitterMs: message.jitter_ms };
    else this.#listener.onMessage(message);
  }

  #opened(welcome: Welcome): void {
    if (this.#state.name !== 'connecting') return;
    this.#openedAtMs = performance.now();
    this.#schedulePing(welcome);
    this.#enter({ name: 'open', welcome });
  }

  #schedulePing(welcome: Welcome): void {
    clearTimeout(this.#timer);
    const intervalMs = Math.min(this.#timings.pingIntervalMs, welcome.ping_interval_ms);
    this.#timer = setTimeout(() => {
      this.#ping(this.#timings.pongTimeoutMs);
      this.#schedulePing(welcome);
    }, intervalMs);
  }

  #ping(timeoutMs: number): void {
    if (this.#pongTimer !== undefined) return;
    this.#pongTimer = setTimeout(() => this.#lost(ABNORMAL, GONE), timeoutMs);
    this.send({ type: 'ping' });
  }

  /**
   * @param code why, as the retry plan sees it
   * @param sayCode what the peer is told, should it still listen
   * @param atLeastMs how long the gateway asked to wait
   */
  #lost(code: number, sayCode: number, atLeastMs = 0): void {
    const wasOpen = this.#state.name === 'open';
    if (wasOpen && performance.now() - this.#openedAtMs >= STABLE_MS) this.#attempt = 0;
    const hint = this.#hint;
    this.#hint = undefined;
    this.#leave(sayCode);
    const { login, getAccessToken, protocols } = this.#options;
    const canRefreshLogin = login !== undefined || getAccessToken !== undefined || typeof protocols === 'function';
    const plan = planRetry({ code, attempt: this.#attempt++, hint, canRefreshLogin });
    if (plan.action === 'stop') return this.#enter({ name: 'stopped', code });
    if (closeAction(code) === 'refresh_login') this.#mustRefreshLogin = true;
    const delayMs = plan.delayMs + Math.min(atLeastMs, MAX_HINT_MS);
    this.#timer = setTimeout(() => void this.#connect(), delayMs);
    this.#enter({ name: 'waiting', delayMs, code });
  }

  /** Waits for nothing of the socket: a dead peer would keep a closing one for minutes. */
  #leave(sayCode: number): void {
    this.#generation++;
    clearTimeout(this.#timer);
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(sayCode);
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#listener.onState(state);
  }
}
