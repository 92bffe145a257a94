import type { SocketConstructor } from '../client/index.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import type { HoldfastError } from '../protocol/errors.js';
import { type ClientMessage, TICKET_SUBPROTOCOL } from '../protocol/messages.js';
import { type AuthPath, FakeAuth } from './fake-auth.js';
import { FakeConnection, type Right } from './fake-connection.js';
import { FakeCredential } from './fake-credential.js';
import { FakeSession } from './fake-session.js';
import { FakeSocket } from './fake-socket.js';

export interface FakeGatewayOptions {
  /** How long a session is held for an owner that lost its connection. Default 30 000 ms. */
  graceMs?: number;
  /** Whose connections are that come without a ticket. Default: each is an anonymous one of its own. */
  principal?: string;
  /** Whether subscribers are told who owns and sends. Default false. */
  showPrincipals?: boolean;
  /** Messages of a session that are kept. Default 1 000. */
  historyLimit?: number;
  /** How long a credential is good that a connection comes with. Default 300 000 ms. */
  accessTokenMs?: number;
  /** Default: everybody may do everything. */
  allows?: (right: Right, sessionId: string, principal: string) => boolean;
}

/** A request over a connection, or to a route of `/v1/auth`. */
export type FakeRequest = ClientMessage['type'] | AuthPath;

const MAX_SENT = 10_000;
export const ABNORMAL = 1_006;

/** What clients talk to: accepts connections, and hands on what they send, unless the script is in the way. */
export class FakeNode {
  readonly WebSocket: SocketConstructor;
  readonly auth: FakeAuth;
  readonly graceMs: number;
  readonly connections = new Set<FakeConnection>();
  readonly sessions = new Map<string, FakeSession>();
  readonly refusals = new Map<FakeRequest, HoldfastError[]>();
  /** How many attempts to connect fail, and how. */
  refused = { left: 0, code: ABNORMAL };
  /** Rises with each restart. */
  runs = 1;
  sent: ClientMessage[] = [];
  readonly #options: FakeGatewayOptions;
  /** Those that have not arrived. */
  readonly #attempts = new Set<FakeSocket>();
  #numbers = 0;
  /** While there is one: resolves with its end. */
  #silence: { over: Promise<void>; end: () => void } | undefined;

  constructor(options: FakeGatewayOptions) {
    const { principal = 'alice', graceMs = 30_000, accessTokenMs = 300_000 } = options;
    this.#options = options;
    this.graceMs = graceMs;
    const begin = (socket: FakeSocket) => {
      this.#attempts.add(socket);
      if (this.#silence !== undefined) socket.silence(true);
    };
    const accept = (socket: FakeSocket) => this.#accept(socket);
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[], { headers = {} }: { headers?: Record<string, string> } = {}) {
        super(url, protocols, headers, accept);
        begin(this);
      }
    };
    this.auth = new FakeAuth({
      accessTokenMs,
      principal,
      received: (path, signal) => this.#onRequest(path, signal),
      ended: (login, code) => {
        for (const it of Array.from(this.connections)) if (it.credential?.login === login) it.close(code);
        // A connection that was gone by then may have left something that is held for it.
        for (const { record } of this.sessions.values()) {
          if (record.owner instanceof FakeConnection && record.owner.credential?.login === login)
            record.free('revoked');
        }
      },
    });
  }

  /** For ids, epochs, tokens. */
  readonly nextNumber = (): number => ++this.#numbers;

  readonly session = (id: string): FakeSession => {
    const { graceMs, nextNumber } = this;
    const { historyLimit = 1_000, showPrincipals = false } = this.#options;
    let session = this.sessions.get(id);
    if (session === undefined) {
      session = new FakeSession(id, { graceMs, historyLimit, showPrincipals, nextNumber });
      this.sessions.set(id, session);
    }
    return session;
  };

  /** Whether attempts and requests arrive; those that are under way wait. */
  silence(silent: boolean): void {
    for (const attempt of this.#attempts) attempt.silence(silent);
    this.#silence?.end();
    this.#silence = undefined;
    if (!silent) return this.#attempts.clear();
    let end = () => {};
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#silence = { over, end };
  }

  #accept(socket: FakeSocket): FakeConnection | undefined {
    this.#attempts.delete(socket);
    const entry = this.#judge(socket);
    if (typeof entry === 'number') {
      if (entry === ABNORMAL) {
        socket.break();
      } else {
        // Browsers are not shown why an upgrade failed, so it succeeds first.
        socket.open();
        socket.end(entry, '');
      }
      return undefined;
    }
    const id = `c_${this.nextNumber()}`;
    const principal = entry?.principal ?? this.#options.principal ?? `anon:${id}`;
    const connection = new FakeConnection(id, principal, socket, entry, {
      node: `fake-${this.runs}`,
      session: this.session,
      allows: this.#options.allows ?? (() => true),
      received: (message) => this.#onMessage(message),
      gone: (it) => this.connections.delete(it),
    });
    this.connections.add(connection);
    return connection;
  }

  /** @returns the close code of an attempt that is refused, else its credential */
  #judge({ protocols, headers }: FakeSocket): number | FakeCredential | undefined {
    if (this.refused.left > 0) {
      this.refused.left--;
      return this.refused.code;
    }
    const ticket = protocols.find((protocol) => protocol.startsWith(TICKET_SUBPROTOCOL));
    if (ticket !== undefined) {
      return this.auth.use(ticket.slice(TICKET_SUBPROTOCOL.length)) ?? CLOSE_CODES.bad_credential;
    }
    if (headers['authorization'] === undefined) return undefined;
    const { principal = 'alice', accessTokenMs = 300_000 } = this.#options;
    return new FakeCredential(principal, accessTokenMs);
  }

  #onMessage(message: ClientMessage): void {
    this.sent.push(message);
    if (this.sent.length > 2 * MAX_SENT) this.sent = this.sent.slice(-MAX_SENT);
    this.#throwRefusal(message.type);
  }

  async #onRequest(path: AuthPath, signal: AbortSignal | null | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#silence !== undefined) {
      const aborted = new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
      await Promise.race([this.#silence.over, aborted]);
    }
    this.#throwRefusal(path);
  }

  #throwRefusal(what: FakeRequest): void {
    const refusal = this.refusals.get(what)?.shift();
    if (refusal !== undefined) throw refusal;
  }
}
