import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startGateway as startNode } from '../test/support/gateway-process.js';
import { freePorts } from '../test/support/ports.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const ROOM = ['--max-connections-per-address', '1000000', '--max-connections', '1000000'];

/** A node over the embedded store, as `holdfast dev` runs it, with room for many connections from one address. */
export async function startMemoryGateway(): Promise<{ pid: number; port: number; stop(): Promise<void> }> {
  const [port = 0, internalPort = 0] = await freePorts(2);
  const args = ['dev', '--port', `${port}`, '--internal-port', `${internalPort}`, '--log-level', 'warn', ...ROOM];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let tries = 0; ; tries++) {
    const ready = await fetch(`http://127.0.0.1:${internalPort}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) break;
    if (tries > 200 || child.exitCode !== null) throw new Error('the gateway did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    pid: child.pid ?? 0,
    port,
    async stop() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** A node over Redis. */
export function startRedisGateway(nodeId: string, redisUrl: string, graceMs: number, args: readonly string[] = []) {
  return startNode({ nodeId, redisUrl, redisPrefix: 'bench', graceMs, args: [...ROOM, ...args] });
}
