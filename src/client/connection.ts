import { closeAction } from '../protocol/close-codes.js';
import type { ClientMessage, ServerMessage } from '../protocol/messages.js';
import { Alarm } from './alarm.js';
import { ClientError } from './errors.js';
import { readFrame } from './frame.js';
import { endOfLogin } from './login-end.js';
import { isOffline } from './page.js';
import { MAX_HINT_MS, planRetry, RECONNECT_BACKOFF, type ReconnectHint } from './retry-plan.js';
import { makeOffer, openSocket, type SocketLike, type SocketOptions, urlsOf } from './socket.js';

export type Welcome = Extract<ServerMessage, { type: 'welcome' }>;
/** What is not about the connection itself. */
export type RelayedMessage = Exclude<ServerMessage, { type: 'welcome' | 'pong' | 'reconnect' }>;

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
  onMessage(message: RelayedMessage): void;
  /** As in `Closure`. */
  maxWaitMs(): number;
  /**
   * `connect_failed`: an attempt could not even begin, since the login or a function of the caller's failed.
   * `unexpected_answer`: frames that are not of the protocol, told once for each connection.
   */
  onError(error: ClientError): void;
}

/** A connection that lasted this long counts as a success, after which the backoff begins anew. */
const STABLE_MS = 5_000;
/** A silent peer that hears the close after all learns that it came too late. */
const GONE = 4_900;
/** After a sleep a dead connection is likelier than a slow one. */
const CHECK_TIMEOUT_MS = 3_000;
const NORMAL = 1_000;
const ABNORMAL = 1_006;
/** A gateway that asks for more is not believed to mean it. */
const MIN_PING_INTERVAL_MS = 1_000;

/** One WebSocket after the other: connects, pings, notices a dead peer, and comes back as the gateway asks. */
export class Connection {
  readonly #options: SocketOptions & ConnectionTimings;
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
  /** How many attempts no welcome followed. */
  #fruitless = 0;
  #toldOfNonsense = false;
  /** The one timer of the phase: connect time-out, next ping, or next attempt. */
  readonly #alarm = new Alarm();
  readonly #pongAlarm = new Alarm();

  constructor(options: SocketOptions & ConnectionTimings, listener: ConnectionListener) {
    this.#options = options;
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
  check(isLast = false): void {
    if (this.#state.name === 'waiting' && !isOffline()) void this.#connect();
    else if (this.#state.name === 'open') this.#ping(Math.min(CHECK_TIMEOUT_MS, this.#options.pongTimeoutMs), isLast);
  }

  /** @param code the close code that the reason amounts to; undefined when the application wants it */
  stop(code?: number): void {
    if (this.#state.name === 'stopped') return;
    // Told to the gateway too: it frees what a connection without a login owned.
    this.#leave(code ?? NORMAL);
    this.#enter({ name: 'stopped', code });
  }

  /**
   * Only while open; what is sent otherwise is dropped.
   * @returns false for what was not sent, since the gateway would close the connection for its size
   */
  send(message: ClientMessage): boolean {
    if (this.#state.name !== 'open') return true;
    const frame = JSON.stringify(message);
    const max = this.#state.welcome.limits.max_payload_bytes;
    if (frame.length * 3 > max && new TextEncoder().encode(frame).length > max) return false;
    this.#socket?.send(frame);
    return true;
  }

  async #connect(): Promise<void> {
    this.#leave(NORMAL);
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    this.#enter({ name: 'connecting' });
    if (!isCurrent()) return;
    this.#alarm.set(this.#options.connectTimeoutMs, () => this.#lost(ABNORMAL, GONE));
    let socket: SocketLike;
    try {
      await this.#refreshLogin();
      const offer = await makeOffer(this.#options);
      if (!isCurrent()) return;
      const urls = urlsOf(this.#options);
      socket = openSocket(urls[this.#fruitless % urls.length] ?? urls[0], this.#options, offer);
    } catch (error) {
      if (!isCurrent()) return;
      this.#listener.onError(
        new ClientError('connect_failed', 'the attempt to connect could not begin', { cause: error }),
      );
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
    if (code === undefined) this.#lost(ABNORMAL, NORMAL, error instanceof ClientError ? error.retryAfterMs : 0);
    else this.stop(code);
  }

  #receive(data: unknown): void {
    this.#pongAlarm.clear();
    const message = readFrame(data);
    if (message === undefined) return this.#tellOfNonsense();
    if (message.type === 'pong') return;
    if (message.type === 'welcome') return this.#opened(message);
    if (message.type === 'reconnect') this.#hint = { afterMs: message.after_ms, jitterMs: message.jitter_ms };
    else this.#listener.onMessage(message);
  }

  #tellOfNonsense(): void {
    if (this.#toldOfNonsense) return;
    this.#toldOfNonsense = true;
    this.#listener.onError(new ClientError('unexpected_answer', 'a frame that is not of the protocol'));
  }

  #opened(welcome: Welcome): void {
    if (this.#state.name !== 'connecting') return;
    this.#openedAtMs = performance.now();
    this.#schedulePing(welcome);
    this.#enter({ name: 'open', welcome });
  }

  #schedulePing(welcome: Welcome): void {
    const intervalMs = Math.min(this.#options.pingIntervalMs, Math.max(MIN_PING_INTERVAL_MS, welcome.ping_interval_ms));
    this.#alarm.set(intervalMs, (slept) => {
      this.#schedulePing(welcome);
      if (slept) this.check();
      else this.#ping(this.#options.pongTimeoutMs);
    });
  }

  #ping(timeoutMs: number, isLast = false): void {
    if (this.#pongAlarm.isSet) return;
    // After a sleep the answer may be there and unread. Once: in a page that is hidden for long every timer comes late.
    this.#pongAlarm.set(timeoutMs, (slept) => (slept && !isLast ? this.check(true) : this.#lost(ABNORMAL, GONE)));
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
    if (!wasOpen && this.#socket !== undefined) this.#fruitless++;
    const hint = this.#hint;
    this.#leave(sayCode);
    const { login, getTicket, getAccessToken, protocols } = this.#options;
    const canRefreshLogin = (login ?? getTicket ?? getAccessToken) !== undefined || typeof protocols === 'function';
    const planMs = planRetry({
      code,
      attempt: this.#attempt,
      hint,
      canRefreshLogin,
      maxWaitMs: this.#listener.maxWaitMs(),
    });
    if (planMs === undefined) return this.#enter({ name: 'stopped', code });
    if (closeAction(code) === 'refresh_login') this.#mustRefreshLogin = true;
    if (!isOffline()) this.#attempt++;
    const delayMs = this.#retryIn(planMs + Math.min(atLeastMs, MAX_HINT_MS));
    this.#enter({ name: 'waiting', delayMs, code });
  }

  /** While the browser says that it is offline, only now and then: `online` ends the wait. @returns the wait, in ms */
  #retryIn(delayMs: number): number {
    const { capMs } = RECONNECT_BACKOFF;
    const waitMs = isOffline() ? Math.max(delayMs, capMs) : delayMs;
    this.#alarm.set(waitMs, () => {
      if (isOffline() && waitMs < capMs) this.#retryIn(capMs);
      else void this.#connect();
    });
    return waitMs;
  }

  /** Waits for nothing of the socket: a dead peer would keep a closing one for minutes. */
  #leave(sayCode: number): void {
    this.#generation++;
    this.#alarm.clear();
    this.#pongAlarm.clear();
    this.#hint = undefined;
    this.#toldOfNonsense = false;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(sayCode);
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#listener.onState(state);
  }
}
