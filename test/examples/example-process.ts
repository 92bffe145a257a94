import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endChild, spawnTied } from '../support/child-process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ADDRESS = /The application: (http:\/\/\S+)\//;

/** One of the examples as a process of its own. */
export class ExampleProcess {
  /** The origin of its page. */
  readonly origin: string;
  readonly #process: ChildProcess;

  private constructor(origin: string, process: ChildProcess) {
    this.origin = origin;
    this.#process = process;
  }

  static async start(name: string, env: Record<string, string>): Promise<ExampleProcess> {
    const command = [process.execPath, '--import', 'tsx', `examples/${name}/server.ts`];
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const child = spawnTied(command, { cwd: ROOT, stdio, env: { ...process.env, ...env } });
    let output = '';
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const origin = await new Promise<string>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${output}`)));
      child.stdout?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const address = ADDRESS.exec(output)?.[1];
        if (address !== undefined) resolve(address);
      });
    });
    return new ExampleProcess(origin, child);
  }

  stop(): Promise<void> {
    return endChild(this.#process, 'SIGTERM', 5_000);
  }
}
