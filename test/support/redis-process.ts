import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { endChild, isRunning, spawnTied } from './child-process.js';
import { freePorts } from './ports.js';
import { redisServerPath } from './redis-binary.js';

const START_MS = 10_000;
const PORT_ATTEMPTS = 5;

/** A redis-server that a test started for itself and may break. */
export interface PrivateRedis {
  readonly url: string;
  readonly port: number;
  /** Of the current process; changes at `restart`. */
  readonly pid: number;
  /** Ends it for good and removes its files. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port, after ending it if it still runs. Without persistence it comes back empty. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
}

export interface PrivateRedisOptions {
  /** Further arguments of redis-server; they win over the defaults. */
  args?: readonly string[];
  /** Started as `redis-server <configFile> --sentinel`, with nothing else. Receives the port and the data folder. */
  sentinelConfig?: (port: number, folder: string) => Promise<string>;
}

/** Sends one command on a connection of its own. */
export async function redisCall(port: number, command: string, ...args: (string | number)[]): Promise<unknown> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: null,
    connectTimeout: 1_000,
    enableReadyCheck: false,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}

/** Polls until `condition` holds; what it throws counts as no. @throws Error after `timeoutMs` */
export async function eventually(what: string, condition: () => Promise<boolean>, timeoutMs = START_MS): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await condition().catch(() => false))) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts a redis-server on a free loopback port, without persistence, that ends with this process. */
export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  for (let attempt = 1; ; attempt += 1) {
    const [port = 0] = await freePorts(1);
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'));
    try {
      return await new RedisProcess(port, folder, options).start();
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      // Another process can have taken the port meanwhile.
      if (attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

class RedisProcess implements PrivateRedis {
  readonly url: string;
  readonly port: number;
  readonly #folder: string;
  readonly #options: PrivateRedisOptions;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(port: number, folder: string, options: PrivateRedisOptions) {
    this.url = `redis://127.0.0.1:${port}`;
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<this> {
    const child = spawnTied([redisServerPath(), ...(await this.#args())], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-4_000);
    });
    await eventually(`redis-server on port ${this.port}`, () => this.#answers(child)).catch(async (error: Error) => {
      await this.kill();
      throw new Error(`${error.message}\n${this.#output}`);
    });
    return this;
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    await this.start();
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async #args(): Promise<string[]> {
    const { sentinelConfig, args = [] } = this.#options;
    if (sentinelConfig !== undefined) return [await sentinelConfig(this.port, this.#folder), '--sentinel'];
    const place = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#folder];
    return [...place, '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction', ...args];
  }

  /** True once this very process serves the port. */
  async #answers(child: ChildProcess): Promise<boolean> {
    if (!isRunning(child)) return false;
    const info = String(await redisCall(this.port, 'INFO'));
    return info.includes(`process_id:${child.pid}\r\n`) && !info.includes('loading:1');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined) await endChild(child, signal, 3_000);
  }
}
