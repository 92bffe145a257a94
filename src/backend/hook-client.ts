import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { signWebhook } from '../crypto/webhook-signature.js';
import type { Clock } from '../lib/clock.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import { type HttpAnswer, post } from './http-post.js';
import { Slots } from './slots.js';
import type { BackendTelemetry, HookName, HookOutcome } from './telemetry.js';

/** Calls that wait, for each one that runs: more would not be answered in time. */
const WAITING_PER_SLOT = 16;
/** Statuses that say the application, or what stands before it, cannot answer now. */
const AWAY = new Set([408, 429, 502, 503, 504]);
const RETRY_AFTER_MS = 1_000;

/** A call that came to nothing. The message names no URL and nothing of an answer. */
export class HookError extends Error {
  override readonly name = 'HookError';
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs = RETRY_AFTER_MS) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

export interface HookClientOptions {
  name: HookName;
  url: URL;
  /** Each signs. */
  secrets: readonly Buffer[];
  /** For all of a call: its turn, name, connection, answer. */
  timeoutMs: number;
  /** How many calls run at once. */
  concurrency: number;
  /** Shared by authorize and message where they have one URL. */
  breaker: CircuitBreaker;
  clock: Clock;
  telemetry: BackendTelemetry;
}

/** Calls one hook of the application: signed POSTs of JSON, bounded in time, number and size. */
export class HookClient {
  readonly #options: HookClientOptions;
  readonly #slots: Slots;
  readonly #agent: HttpAgent;

  constructor(options: HookClientOptions) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency, options.concurrency * WAITING_PER_SLOT);
    const Agent = options.url.protocol === 'https:' ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** How long nothing will be sent, since the calls before failed; 0 when nothing stands in the way. */
  waitMs(): number {
    return this.#options.breaker.waitMs();
  }

  /**
   * @param id the same for each repetition of one request; it goes into a header
   * @param body JSON
   * @param read makes the result of an answer; undefined for one that it cannot use
   * @throws HookError
   */
  async call<T>(id: string, body: string, read: (answer: HttpAnswer) => T | undefined): Promise<T> {
    const { clock, telemetry, name } = this.#options;
    const startMs = clock.monotonicMs();
    const told = (outcome: HookOutcome) => telemetry.hook(name, outcome, clock.monotonicMs() - startMs);
    const skip = (retryAfterMs: number) => {
      told('skipped');
      return new HookError('the application is not asked for the moment', retryAfterMs);
    };
    if (this.waitMs() > 0) throw skip(this.waitMs());
    const signal = AbortSignal.timeout(this.timeoutMs);
    // Of its time, at least half is for the application: or a late turn would look like its failure.
    if (!(await this.#slots.enter(AbortSignal.timeout(this.timeoutMs / 2)))) throw skip(RETRY_AFTER_MS);
    try {
      if (this.waitMs() > 0) throw skip(this.waitMs());
      const answer = await this.#send(id, body, signal, told);
      const result = read(answer);
      if (result !== undefined) {
        told('answered');
        return result;
      }
      const isSuccess = answer.status >= 200 && answer.status < 300;
      told(isSuccess ? 'garbage' : 'refused');
      const what = isSuccess ? 'the answer of the application cannot be used' : `status ${answer.status}`;
      throw new HookError(what);
    } finally {
      this.#slots.leave();
    }
  }

  /** Closes all connections; calls under way fail. */
  close(): void {
    this.#agent.destroy();
  }

  async #send(
    id: string,
    body: string,
    signal: AbortSignal,
    told: (outcome: HookOutcome) => void,
  ): Promise<HttpAnswer> {
    const { url, secrets, breaker, clock } = this.#options;
    const probe = breaker.begin();
    try {
      const timestampS = Math.floor(clock.wallMs() / 1_000);
      const headers = { 'content-type': 'application/json', ...signWebhook(secrets, id, timestampS, body) };
      const answer = await post(url, { headers, body, agent: this.#agent, signal });
      // A request that is refused, as one of an unknown session, does not make the application one that is away.
      const isAlive = (answer.status < 300 || answer.status >= 400) && answer.status < 500 && !AWAY.has(answer.status);
      if (isAlive) breaker.succeeded();
      else breaker.failed(probe);
      return answer;
    } catch (error) {
      breaker.failed(probe);
      told('no_answer');
      throw new HookError(signal.aborted ? 'no answer in time' : reasonOf(error));
    }
  }
}

/** The code of a system error, which names no host; else the text, of this folder or of Node. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : message;
}
