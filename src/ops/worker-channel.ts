/** What the process that starts workers asks them, over the channel that node:cluster gives them. */
import type { Worker } from 'node:cluster';
import type { Registry } from 'prom-client';
import type { Readiness } from './health.js';

/** The values of all metrics of a process. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What a worker answers. */
export interface WorkerCalls {
  readiness(): Promise<Readiness>;
  status(): Promise<object>;
  metrics(): Promise<MetricsSnapshot>;
  drain(): Promise<void>;
  undrain(): Promise<void>;
}

export type WorkerCall = keyof WorkerCalls;
export type WorkerAnswer<C extends WorkerCall> = Awaited<ReturnType<WorkerCalls[C]>>;

interface Question {
  call: WorkerCall;
  id: number;
}

type Told = { started: true } | { id: number; answer: unknown };

const ANSWER_MS = 1_000;

/** Answers from now on. For workers. */
export function answerCalls(calls: WorkerCalls): void {
  const tell = (told: Told) => {
    // Without the channel the process is about to end.
    if (process.connected) process.send?.(told);
  };
  const answer = async ({ call, id }: Question) => tell({ id, answer: await calls[call]() });
  process.on('message', (question: Question) => void answer(question));
  tell({ started: true });
}

/** A worker as the process that started it sees it. */
export class WorkerChannel {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #asked = 0;

  /** @param onStarted it answers, and takes connections */
  constructor(worker: Worker, onStarted: () => void) {
    this.#worker = worker;
    worker.on('message', (told: Told) => {
      if ('started' in told) onStarted();
      else this.#waiting.get(told.id)?.(told.answer);
    });
    // Sending to one that just ended.
    worker.on('error', () => {});
  }

  /** Undefined when it does not answer within a second. */
  ask<C extends WorkerCall>(call: C): Promise<WorkerAnswer<C> | undefined> {
    if (!this.#worker.isConnected()) return Promise.resolve(undefined);
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve) => {
      const settle = (answer?: unknown) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(answer as WorkerAnswer<C> | undefined);
      };
      const late = setTimeout(settle, ANSWER_MS);
      this.#waiting.set(id, settle);
      this.#worker.send({ call, id } satisfies Question);
    });
  }
}
