import { setTimeout as sleep } from 'node:timers/promises';
import type { NewMessage, PublishResult } from '../../src/protocol/http.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { backendCall } from '../support/message-calls.js';

const RETRIED = new Set([429, 503]);
const ANSWER_MS = 3_000;
/** How long the last ones may take when nothing is broken any more. */
const LAST_MS = 15_000;

type Numbered = NewMessage & { data: { key: string; filling: string } };

/** Publishes numbered messages of all sizes into a session, each until it is acknowledged, through any node. */
export class MessagePublisher {
  /** The offset that each message was acknowledged with last. */
  readonly acknowledged = new Map<string, number>();
  readonly violations: string[] = [];
  readonly sessionId: string;
  readonly #name: string;
  readonly #anyNode: () => GatewayProcess;
  #done: Promise<void> | undefined;
  #number = 0;
  #stopped = false;
  #untilMs = Number.POSITIVE_INFINITY;

  constructor(sessionId: string, name: string, anyNode: () => GatewayProcess) {
    this.sessionId = sessionId;
    this.#name = name;
    this.#anyNode = anyNode;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#untilMs = performance.now() + LAST_MS;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const count = Math.random() < 0.5 ? 1 : 1 + Math.floor(Math.random() * 20);
      const messages = Array.from({ length: count }, () => this.#message());
      while (!(await this.#isAcknowledged(messages))) {
        if (performance.now() > this.#untilMs) {
          this.violations.push(`${this.#name} of ${this.sessionId} was not answered to the last`);
          return;
        }
        await sleep(50);
      }
      await sleep(Math.random() * 40);
    }
  }

  #message(): Numbered {
    const key = `${this.#name}-${++this.#number}`;
    const filling = 'x'.repeat(Math.random() < 0.1 ? 4_000 : 100);
    if (Math.random() < 0.05) return { data: { key, filling }, ephemeral: true };
    return { data: { key, filling }, idempotency_key: key };
  }

  async #isAcknowledged(messages: Numbered[]): Promise<boolean> {
    const path = `sessions/${this.sessionId}/messages`;
    const call = backendCall(this.#anyNode(), 'POST', path, { messages });
    const response = await Promise.race([call, sleep(ANSWER_MS)]).catch(() => undefined);
    call.catch(() => {});
    if (response === undefined || RETRIED.has(response.status)) return false;
    if (!response.ok) {
      this.violations.push(`publishing was answered ${response.status}: ${await response.text()}`);
      return true;
    }
    const { results } = (await response.json()) as { results: PublishResult[] };
    for (const [i, result] of results.entries()) {
      const message = messages[i];
      if (message === undefined || 'error' in result || message.ephemeral === true) continue;
      this.acknowledged.set(message.data.key, result.offset);
    }
    return results.every((result) => !('error' in result));
  }
}
