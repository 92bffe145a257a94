/** Several processes that share the public port, each a node of its own. */
import cluster, { type Worker } from 'node:cluster';
import type { Log } from '../lib/log.js';
import type { Readiness } from './health.js';
import { type WorkerAnswer, type WorkerCall, WorkerChannel } from './worker-channel.js';
import { WorkerMetrics } from './worker-metrics.js';

export interface WorkersOptions {
  count: number;
  /** The workers' begin with it: `n1-1`, `n1-2` … */
  nodeId: string;
  /** The command line that makes a worker of that name. */
  args(nodeId: string): readonly string[];
  /** How long one may take to end. */
  stopMs: number;
  log: Log;
}

interface Place {
  readonly number: number;
  readonly nodeId: string;
  worker?: Worker | undefined;
  /** Once it takes connections. */
  channel?: WorkerChannel | undefined;
  restarts: number;
  backoffMs: number;
  timer?: NodeJS.Timeout | undefined;
}

const BACKOFF = { baseMs: 1_000, capMs: 30_000 };
/** One that has lived so long did not fail at its start. */
const SETTLED_MS = 60_000;

export class Workers {
  readonly #metrics = new WorkerMetrics();
  readonly #options: WorkersOptions;
  readonly #places: readonly Place[];
  /** One has taken connections: from then on who ends is replaced. */
  #begun = false;
  #drained = false;
  #stopping = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.count }, (_, index) => ({
      number: index + 1,
      nodeId: `${options.nodeId}-${index + 1}`,
      restarts: 0,
      backoffMs: BACKOFF.baseMs,
    }));
  }

  /** Whether any runs. */
  get live(): boolean {
    return this.#places.some(({ worker }) => worker !== undefined);
  }

  /**
   * Starts one, and when that takes connections the others, so that what is wrong with the settings is said once.
   * @returns the exit code of the first when it ended instead
   */
  async start(): Promise<number | undefined> {
    const [first, ...others] = this.#places as [Place, ...Place[]];
    const worker = this.#fork(first);
    const code = await new Promise<number | undefined>((resolve) => {
      worker.once('message', () => resolve(undefined));
      worker.once('exit', (exitCode: number | null) => resolve(exitCode ?? 1));
    });
    if (code !== undefined) return code;
    this.#begun = true;
    for (const place of others) this.#fork(place);
    return undefined;
  }

  /** Ready while any is; the others' reasons are told then all the same. */
  async readiness(): Promise<Readiness> {
    const all = (await this.#ask('readiness')).map(({ place, answer }) => {
      const silent = { reasons: [place.channel === undefined ? 'not_running' : 'no_answer'], degraded: [] };
      const { reasons, degraded } = answer ?? silent;
      const told = [...reasons, ...degraded].map((reason) => `${place.nodeId}: ${reason}`);
      return { ready: reasons.length === 0, told };
    });
    const told = all.flatMap((one) => one.told);
    return all.some(({ ready }) => ready) ? { reasons: [], degraded: told } : { reasons: told, degraded: [] };
  }

  /** What each says of itself; null of one that does not answer. */
  async status(): Promise<object[]> {
    return (await this.#ask('status')).map(({ place: { nodeId, worker, restarts }, answer }) => {
      return { node: nodeId, pid: worker?.process.pid ?? null, restarts, status: answer ?? null };
    });
  }

  get contentType(): string {
    return this.#metrics.contentType;
  }

  /** Metrics of all together. */
  async render(): Promise<string> {
    for (const { place, answer } of await this.#ask('metrics')) {
      if (answer !== undefined) this.#metrics.set(place.number, answer);
    }
    return this.#metrics.render();
  }

  async drain(): Promise<void> {
    this.#drained = true;
    await this.#ask('drain');
  }

  async undrain(): Promise<void> {
    this.#drained = false;
    await this.#ask('undrain');
  }

  /** Lets all drain at once, and resolves when they have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { timer } of this.#places) clearTimeout(timer);
    const running = this.#places.flatMap(({ worker }) => worker ?? []);
    // Not `once` of node:events: it rejects when one cannot be sent a question any more.
    const ended = running.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    for (const worker of running) worker.process.kill('SIGTERM');
    const late = setTimeout(() => this.kill(), this.#options.stopMs);
    await Promise.all(ended);
    clearTimeout(late);
  }

  /** Ends them at once. */
  kill(): void {
    this.#stopping = true;
    for (const { timer, worker } of this.#places) {
      clearTimeout(timer);
      worker?.process.kill('SIGKILL');
    }
  }

  #ask<C extends WorkerCall>(call: C): Promise<{ place: Place; answer: WorkerAnswer<C> | undefined }[]> {
    return Promise.all(this.#places.map(async (place) => ({ place, answer: await place.channel?.ask(call) })));
  }

  #fork(place: Place): Worker {
    // Not as JSON, which has no NaN.
    cluster.setupPrimary({ args: [...this.#options.args(place.nodeId)], serialization: 'advanced' });
    const worker = cluster.fork();
    const startedAtMs = performance.now();
    place.worker = worker;
    const channel = new WorkerChannel(worker, () => {
      place.channel = channel;
      if (this.#drained) void channel.ask('drain');
    });
    worker.once('exit', (code, signal) => {
      place.worker = undefined;
      place.channel = undefined;
      this.#metrics.end(place.number);
      if (this.#begun && !this.#stopping) this.#forkAgain(place, performance.now() - startedAtMs, { code, signal });
    });
    return worker;
  }

  #forkAgain(place: Place, livedMs: number, end: { code: number | null; signal: string | null }): void {
    if (livedMs >= SETTLED_MS) place.backoffMs = BACKOFF.baseMs;
    const afterMs = place.backoffMs;
    place.backoffMs = Math.min(BACKOFF.capMs, afterMs * 2);
    place.restarts += 1;
    this.#options.log.error({ worker: place.nodeId, ...end, after_ms: afterMs }, 'worker ended; another one follows');
    place.timer = setTimeout(() => this.#fork(place), afterMs);
  }
}
