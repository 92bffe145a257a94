import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what systems give to outgoing connections, any of which could take a port between the look at it and its use.
 * Each process begins elsewhere, so that two seldom look at the same.
 */
const FIRST = 10_000;
const PER_PROCESS = 200;
const PROCESSES = 100;
let tried = (process.pid % PROCESSES) * PER_PROCESS;

/** Loopback TCP ports that were free a moment ago, all different. @throws Error when there are none */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > PER_PROCESS * PROCESSES) throw new Error('no free port');
    const port = FIRST + (tried++ % (PER_PROCESS * PROCESSES));
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
