/** What the tests of bad surroundings ask of a node: what it says of itself, and what it wrote. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { GatewayProcess, LogLine } from '../support/gateway-process.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ENDED_MS = 30_000;

export interface Readiness {
  http: number;
  reasons: string[];
  degraded: string[];
}

export async function readiness(node: { internalUrl: string }): Promise<Readiness> {
  const answer = await fetch(`${node.internalUrl}/readyz`, { signal: AbortSignal.timeout(5_000) });
  const { reasons, degraded } = (await answer.json()) as Omit<Readiness, 'http'>;
  return { http: answer.status, reasons, degraded };
}

export async function statusOf(node: { internalUrl: string }): Promise<{
  store: { trouble?: { code: string; what: string; remedy: string; cause: string } };
  clock?: { ahead_ms: number };
}> {
  return (await fetch(`${node.internalUrl}/statusz`)).json() as ReturnType<typeof statusOf>;
}

/** Warnings and errors of that code, and what says that it is over. */
export function linesOf(node: GatewayProcess, code: string): LogLine[] {
  return node.log.filter((line) => line['code'] === code && typeof line.msg === 'string');
}

/** Polls until what is asked for is there, and holds for a while. @throws Error after 30 s */
export async function lasting(what: string, ask: () => Promise<boolean>, lastsMs: number): Promise<void> {
  const endMs = performance.now() + ENDED_MS;
  let sinceMs: number | undefined;
  for (;;) {
    const nowMs = performance.now();
    if (!(await ask().catch(() => false))) sinceMs = undefined;
    else sinceMs ??= nowMs;
    if (sinceMs !== undefined && nowMs - sinceMs >= lastsMs) return;
    if (nowMs > endMs) throw new Error(`${what}: not within ${ENDED_MS} ms`);
    await sleep(100);
  }
}

/** Polls until the node has written as many lines of that code as are expected: it writes its log now and then. */
export async function written(node: GatewayProcess, code: string, count: number): Promise<LogLine[]> {
  await lasting(`${count} lines on ${code}`, async () => linesOf(node, code).length >= count, 0);
  return linesOf(node, code);
}

/** Runs `serve` to its end. @param files at most so many may be open */
export function serveOnce(
  args: readonly string[],
  env: Record<string, string>,
  files?: number,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const own = ['--host', '127.0.0.1', '--port', '0', '--internal-port', '0', '--auth', 'anonymous', '--access', 'open'];
  const command = [process.execPath, MAIN, 'serve', ...own, ...args];
  const limited = files === undefined ? command : ['sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh', ...command];
  const [program = '', ...rest] = limited;
  return new Promise((done) => {
    const options = { env: { PATH: process.env['PATH'], ...env }, timeout: ENDED_MS };
    const child = execFile(program, rest, options, (_error, stdout, stderr) => {
      done({ code: child.exitCode, stdout, stderr });
    });
  });
}
