import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endChild, spawnTied } from './child-process.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STOP_MS = 10_000;
const ADDRESS = /http:\/\/\S+\//;

/** A `holdfast dev` process on free ports. */
export class DevGateway {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  static async start(...args: string[]): Promise<DevGateway> {
    const command = [process.execPath, MAIN, 'dev', '--port', '0', '--internal-port', '0', ...args];
    const child = spawnTied(command, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const url = await new Promise<string>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`holdfast dev ended with ${code}: ${output}`)));
      child.stdout?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const address = ADDRESS.exec(output)?.[0];
        if (address !== undefined) resolve(address);
      });
    });
    return new DevGateway(url, child);
  }

  stop(): Promise<void> {
    return endChild(this.#process, 'SIGTERM', STOP_MS);
  }
}
