import { setTimeout as sleep } from 'node:timers/promises';
import type { SubscribeAck } from '../../src/protocol/messages.js';
import { RawClient } from '../support/raw-client.js';

const RETRY_MS = 100;

/**
 * A client that does what the protocol asks of one: it comes back after every close, as hinted, with its newest token,
 * and repeats an unanswered attempt as the same attempt.
 */
export class ReturningOwner {
  /** One history for each connection, the present one last. */
  readonly connections: RawClient[] = [];
  /** Every acknowledgement, in order. */
  readonly acks: SubscribeAck[] = [];
  readonly sessionId: string;
  readonly #url: () => string;
  #token: string | undefined;
  #attempt = crypto.randomUUID();
  #acknowledged: RawClient | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  /** @param url where to connect, asked for each connection */
  constructor(url: () => string, sessionId: string) {
    this.#url = url;
    this.sessionId = sessionId;
  }

  get connection(): RawClient | undefined {
    return this.connections.at(-1);
  }

  /** True while its present connection is open and acknowledged. */
  get isBack(): boolean {
    return (
      this.connection !== undefined && this.connection === this.#acknowledged && this.connection.closed === undefined
    );
  }

  /** Resolves when it owns the session for the first time. */
  async start(): Promise<void> {
    await this.#connect();
    this.#running = this.#keepUp();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.connection?.terminate();
    await this.#running;
  }

  async #keepUp(): Promise<void> {
    while (!this.#stopped) {
      await this.connection?.whenClosed;
      const hint = this.connection?.all('reconnect').at(-1);
      await sleep((hint?.after_ms ?? 0) + Math.random() * (hint?.jitter_ms ?? RETRY_MS));
      while (!this.#stopped) {
        const failed = await this.#connect().catch((error: unknown) => error);
        if (failed === undefined) break;
        await sleep(RETRY_MS);
      }
    }
  }

  async #connect(): Promise<void> {
    const client = await RawClient.connect(this.#url());
    this.connections.push(client);
    try {
      const ack = await client.subscribe(this.sessionId, {
        attempt_id: this.#attempt,
        ...(this.#token !== undefined && { reconnect_token: this.#token }),
      });
      this.acks.push(ack);
      this.#acknowledged = client;
      this.#token = ack.reconnect_token ?? this.#token;
      this.#attempt = crypto.randomUUID();
    } catch (error) {
      client.terminate();
      throw error;
    }
  }
}
