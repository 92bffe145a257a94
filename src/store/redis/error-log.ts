import type { Redis } from 'ioredis';
import type { Log } from '../../lib/log.js';
import type { RedisClient } from './client.js';
import { messageOf } from './errors.js';
import type { StoreTelemetry } from './telemetry.js';

const QUIET_MS = 60_000;

/** Listens to a client's errors, which Node would otherwise throw, and logs at most one line a minute. */
export class ErrorLog {
  readonly #log: Log;
  readonly #telemetry: StoreTelemetry;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;
  #begun = false;
  #last: Error | undefined;

  constructor(log: Log, telemetry: StoreTelemetry) {
    this.#log = log;
    this.#telemetry = telemetry;
  }

  /** From now on errors are logged: whoever waits for the first connection says himself why there is none. */
  begin(): void {
    this.#begun = true;
  }

  /** Since the connection last stood. */
  get last(): Error | undefined {
    return this.#last;
  }

  watch(client: RedisClient): void {
    client.on('error', (error: Error) => this.report(error));
    client.on('ready', () => {
      this.#last = undefined;
      this.#telemetry.connection('ready');
    });
    client.on('close', () => this.#telemetry.connection('lost'));
    // A Cluster's nodes come and go by themselves.
    client.on('node error', (error: Error) => this.report(error));
    client.on('+node', (node: Redis) => node.on('close', () => this.#telemetry.connection('lost')));
  }

  /** Of a connection that it does not watch itself. */
  report(error: Error): void {
    this.#telemetry.connection('error');
    this.#last = error;
    if (!this.#begun) return;
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < QUIET_MS) {
      this.#suppressed++;
      return;
    }
    this.#log.warn({ error: messageOf(error), suppressed: this.#suppressed }, 'Redis connection error');
    this.#loggedAtMs = nowMs;
    this.#suppressed = 0;
  }
}
