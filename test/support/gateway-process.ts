import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endChild, isRunning, spawnTied } from './child-process.js';
import { freePorts } from './ports.js';

/** What `node` runs. */
export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const READY_MS = 15_000;
const STOP_MS = 20_000;
const KEPT_LOG_LINES = 5_000;

/** The secrets of every gateway that a test or `npm run cluster` starts; all nodes must share them. */
export const SECRETS = {
  HOLDFAST_SECRET: 'local:8Qm3T0s5vXyR1uWb7cZdKf2gHjLnPq4rAeBtCvDxEyF',
  HOLDFAST_API_KEY: 'local-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g',
  HOLDFAST_JWT_SECRET: 'local-jwt-secret-8Qm3T0s5vXyR1uWb7cZdKf2g',
};

export interface GatewayOptions {
  nodeId: string;
  redisUrl: string;
  redisPrefix: string;
  graceMs: number;
  /** Further arguments of `serve`; they win over the defaults. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Of another version. */
  main?: string | undefined;
}

/** One line of the node's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One gateway node as a process of its own, on ports that stay the same when it is started again. */
export class GatewayProcess {
  readonly nodeId: string;
  readonly port: number;
  readonly internalPort: number;
  /** The version that is started next. */
  main: string;
  readonly #options: GatewayOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<Exit> | undefined;
  #unexpected: string | undefined;
  #endMeant = false;
  #lines: string[] = [];
  /** Set by the process's own log: another process on the port would answer requests too. */
  #listening = false;

  constructor(options: GatewayOptions, port: number, internalPort: number) {
    this.nodeId = options.nodeId;
    this.main = options.main ?? MAIN;
    this.#options = options;
    this.port = port;
    this.internalPort = internalPort;
  }

  get redisUrl(): string {
    return this.#options.redisUrl;
  }

  get redisPrefix(): string {
    return this.#options.redisPrefix;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return this.#child !== undefined && isRunning(this.#child);
  }

  /** How the process that was started last ended. */
  get exit(): Promise<Exit> {
    if (this.#exit === undefined) throw new Error(`${this.nodeId} was never started`);
    return this.#exit;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get internalUrl(): string {
    return `http://127.0.0.1:${this.internalPort}`;
  }

  /** Where clients connect. */
  get connectUrl(): string {
    return `ws://127.0.0.1:${this.port}/v1/connect`;
  }

  /** The parsed log, newest last; what is not JSON is under `raw`. */
  get log(): LogLine[] {
    return this.#lines.map(parseLine);
  }

  /** Everything written, for a search for what must not be in it. */
  get rawLog(): string {
    return this.#lines.join('\n');
  }

  /** Resolves when it serves. @throws Error with the end of its log when it does not */
  async start(): Promise<this> {
    const { nodeId, redisUrl, redisPrefix, graceMs, args = [], env = {} } = this.#options;
    const settings = [
      ['--host', '127.0.0.1'],
      ['--port', `${this.port}`],
      ['--internal-port', `${this.internalPort}`],
      ['--redis-url', redisUrl],
      ['--redis-prefix', redisPrefix],
      ['--node-id', nodeId],
      ['--grace-ms', `${graceMs}`],
      ['--auth', 'anonymous'],
      ['--access', 'open'],
    ].flat();
    const command = [process.execPath, this.main, 'serve', ...settings, ...args];
    const child = spawnTied(command, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...SECRETS, ...env },
    });
    this.#child = child;
    this.#endMeant = false;
    this.#listening = false;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.#lines.push(line);
        if (child === this.#child && line.includes('"listening"')) this.#listening = true;
        if (this.#lines.length > KEPT_LOG_LINES) this.#lines = this.#lines.slice(-KEPT_LOG_LINES / 2);
      });
    }
    this.#exit = once(child, 'exit').then(([code, signal]: Exit[keyof Exit][]) => {
      const exit = { code, signal } as Exit;
      if (!this.#endMeant) this.#unexpected = `${nodeId} ended by itself with ${code ?? signal}\n${this.tail()}`;
      return exit;
    });
    await this.untilReady();
    return this;
  }

  /** @throws Error when the node ended or is not ready in time */
  async untilReady(timeoutMs = READY_MS): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!(this.#listening && (await this.isReady()))) {
      if (!this.running) throw new Error(`${this.nodeId} did not start\n${this.tail()}`);
      if (performance.now() > endMs) throw new Error(`${this.nodeId} is not ready\n${this.tail()}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Takes connections, and has all that it needs for them. */
  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.internalUrl}/readyz`, { signal: AbortSignal.timeout(1_000) });
      const { degraded } = (await answer.json()) as { degraded: string[] };
      return answer.ok && degraded.length === 0;
    } catch {
      return false;
    }
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM, and the exit that it leads to. */
  async stop(): Promise<Exit> {
    return this.#end('SIGTERM');
  }

  /** Sends SIGTERM and does not wait. */
  terminate(): Promise<Exit> {
    this.#endMeant = true;
    this.#child?.kill('SIGTERM');
    return this.exit;
  }

  /** SIGSTOP. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** @throws Error when the node has ended and nobody asked it to */
  check(): void {
    const unexpected = this.#unexpected;
    this.#unexpected = undefined;
    if (unexpected !== undefined) throw new Error(unexpected);
  }

  /** The end of the log, for a failure's message. */
  tail(lines = 30): string {
    return this.#lines.slice(-lines).join('\n');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit> {
    const child = this.#child;
    if (child === undefined) return { code: 0, signal: null };
    this.#endMeant = true;
    await endChild(child, signal, STOP_MS);
    return this.exit;
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { raw: line };
  }
}

/** Starts a node on free ports, or on those given. */
export async function startGateway(
  options: GatewayOptions,
  ports?: { port: number; internalPort: number },
): Promise<GatewayProcess> {
  const [port = 0, internalPort = 0] = ports === undefined ? await freePorts(2) : [ports.port, ports.internalPort];
  return new GatewayProcess(options, port, internalPort).start();
}
