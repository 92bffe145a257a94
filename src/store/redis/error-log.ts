import type { Redis } from 'ioredis';
import type { Log } from '../../lib/log.js';
import type { RedisClient } from './client.js';
import { messageOf } from './errors.js';
import type { StoreTelemetry } from './telemetry.js';

const QUIET_MS = 10_000;

/** Listens to a client's errors, which Node would otherwise throw, and logs at most one line per 10 s. */
export class ErrorLog {
  readonly #log: Log;
  readonly #telemetry: StoreTelemetry;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: Log, telemetry: StoreTelemetry) {
    this.#log = log;
    this.#telemetry = telemetry;
  }

  watch(client: RedisClient): void {
    client.on('error', (error: Error) => this.#onError(error));
    client.on('ready', () => this.#telemetry.connection('ready'));
    client.on('close', () => this.#telemetry.connection('lost'));
    // A Cluster's nodes come and go by themselves.
    client.on('node error', (error: Error) => this.#onError(error));
    client.on('+node', (node: Redis) => node.on('close', () => this.#telemetry.connection('lost')));
  }

  #onError(error: Error): void {
    this.#telemetry.connection('error');
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
