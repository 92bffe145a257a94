import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { SECRETS, startGateway as startNode } from '../test/support/gateway-process.js';
import { freePorts } from '../test/support/ports.js';
import type { Peer } from './process.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
/** In `dev` the subscribers would be told of each other; under `serve` they are not unless it is asked for. */
const AS_SERVED = ['--presence', 'false', '--log-level', 'warn'];
const ROOM = ['--max-connections-per-address', '1000000', '--max-connections', '1000000'];

/** An owner may say as much as it can. Nobody is pinged, since clients that only count answer no pings. */
export const UNLIMITED = [
  '--messages-per-second',
  '100000',
  '--message-burst',
  '1000000',
  '--ping-interval-ms',
  '3600000',
];

/** A node over the embedded store, as `holdfast dev` starts it, with room for many connections from one address. */
export async function startMemoryGateway(more: readonly string[] = []): Promise<Peer> {
  const [port = 0, internalPort = 0] = await freePorts(2);
  const ports = ['--port', `${port}`, '--internal-port', `${internalPort}`];
  const child = spawn(process.execPath, [MAIN, 'dev', ...ports, ...AS_SERVED, ...ROOM, ...more], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...SECRETS },
  });
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
