import { type ChildProcess, execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { spawnTied } from '../support/child-process.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STARTED_MS = 15_000;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Only what a child needs: settings of the person who runs the tests must not reach it. */
function environment(env: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: process.env['HOME'], COLUMNS: '120', ...env };
}

/** Runs a command to its end. */
export function holdfast(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((done) => {
    const options = { env: environment(env), timeout: STARTED_MS };
    const child = execFile(process.execPath, [MAIN, ...args], options, (_error, stdout, stderr) => {
      done({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
  });
}

export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawnTied([process.execPath, MAIN, ...args], {
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = new Promise((done) => {
      this.child.once('close', (code, signal) => done({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** @returns what `pattern` found in the output. @throws Error when it does not come */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const endMs = performance.now() + STARTED_MS;
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found !== null) return found;
      if (this.child.exitCode !== null || performance.now() > endMs) {
        throw new Error(`did not say ${pattern}\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
