import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const NS_PER_SECOND = 1e9;

/** CPU seconds of a process so far, of its threads that run still; to the nanosecond for those that sleep. Linux. */
export function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const used = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return used.reduce((sum, ns) => sum + ns, 0) / NS_PER_SECOND;
}

/** Resident memory of a process in KiB. Linux. */
export function rssKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Those that this process may use, such as 0, 1, 4. Linux. */
export function allowedCpus(): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** From now on on these CPUs only. Linux. */
export function keepOn(cpus: readonly number[], pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cpus.join(','), `${pid}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

export interface Peer {
  pid: number;
  port: number;
  stop(): Promise<void>;
}

/** Starts a Node program that prints the port on which it listens. */
export async function startPeer(path: string, ...args: readonly string[]): Promise<Peer> {
  const child: ChildProcess = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout === null || child.pid === undefined) throw new Error(`${path} did not start`);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    pid: child.pid,
    port: Number(line),
    async stop() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
