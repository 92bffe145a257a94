import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { spawnTied } from './child-process.js';

/** Five processes at once, on a machine that may be busy with other tests. */
const START_MS = 50_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A block of ports below those that the kernel gives to outgoing connections; other test workers have other pids. */
export function basePort(): number {
  return 12_000 + (process.pid % 100) * 200;
}

/** `npm run cluster` without the build, as one process. */
export class ClusterScript {
  output = '';
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;

  constructor(...args: string[]) {
    const command = [process.execPath, '--import', 'tsx', 'scripts/cluster.ts', ...args];
    this.child = spawnTied(command, { cwd: ROOT });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    this.exit = once(this.child, 'exit').then(([code]: (number | null)[]) => code ?? null);
  }

  /** Resolves when all of its processes are up. */
  static async start(...args: string[]): Promise<ClusterScript> {
    const script = new ClusterScript('--base-port', `${basePort()}`, ...args);
    await script.until(/^redis +\d+/m, START_MS);
    return script;
  }

  async until(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpMatchArray> {
    const find = () => {
      const found = this.output.match(pattern);
      if (found === null) throw new Error(`it has not said ${pattern}\n${this.output}`);
      return found;
    };
    return vi.waitFor(find, { timeout: timeoutMs, interval: 50 });
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** The pids of everything that it started, out of its table. */
  get pids(): number[] {
    return [...this.output.matchAll(/^(?:haproxy|redis|n\d) +(\d+) /gm)].map(([, pid]) => Number(pid));
  }
}
