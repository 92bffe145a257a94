import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { findOnPath } from './redis-binary.js';

/** Starts a program that ends with this process: an exit listener covers its orderly end, the kernel a SIGKILL. */
export function spawnTied(command: readonly string[], options: SpawnOptions): ChildProcess {
  const setpriv = findOnPath('setpriv');
  const [program = '', ...args] = setpriv === undefined ? command : [setpriv, '--pdeathsig', 'KILL', '--', ...command];
  const child = spawn(program, args, options);
  const end = () => child.kill('SIGKILL');
  process.on('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Sends the signal, also to a stopped process, and SIGKILL when it is not enough within `patienceMs`. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, patienceMs: number): Promise<void> {
  if (!isRunning(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGCONT');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await ended;
  clearTimeout(late);
}
