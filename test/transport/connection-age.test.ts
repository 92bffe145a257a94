import { expect, it } from 'vitest';
import type { Connection } from '../../src/transport/connection.js';
import { connected, LIMITS, startGateway } from './gateway.js';

const AGE_MS = 1_000;

function aging() {
  const left: { id: string; atMs: number }[] = [];
  const onAged = (connection: Connection) => {
    left.push({ id: connection.id, atMs: performance.now() });
    connection.hint(100, 400, 'rebalance');
    void connection.leave(0);
  };
  return { left, onAged };
}

it('a connection leaves at its age, give or take a tenth, and not with all others', async () => {
  const { left, onAged } = aging();
  // The clock of the wheel ticks with the pings: 31 ms here.
  const limits = { ...LIMITS, maxAgeMs: AGE_MS, pingIntervalMs: 2_000, pongTimeoutMs: 1_000 };
  const { port, server } = await startGateway({ limits, onAged });
  const startedMs = performance.now();
  const clients = await Promise.all(Array.from({ length: 40 }, () => connected(port)));
  const openedMs = performance.now();
  const opened = [...server.connections()].map(({ id }) => id);
  for (const client of clients) {
    expect(await client.next()).toMatchObject({ type: 'reconnect', reason: 'rebalance' });
    expect(await client.closed()).toEqual({ code: 1012, reason: 'restart' });
  }
  const atMs = left.map((one) => one.atMs);
  expect(Math.min(...atMs) - startedMs).toBeGreaterThan(0.9 * AGE_MS);
  expect(Math.max(...atMs) - openedMs).toBeLessThan(1.1 * AGE_MS + 400);
  const order = left.map(({ id }) => opened.indexOf(id));
  const overtakings = order.flatMap((first, i) => order.slice(i + 1).filter((later) => later < first));
  expect(order).toHaveLength(40);
  expect(overtakings.length).toBeGreaterThan(50);
});

it('without a limit it stays', async () => {
  const { left, onAged } = aging();
  const limits = { ...LIMITS, pingIntervalMs: 200, pongTimeoutMs: 100 };
  const { port, server } = await startGateway({ limits, onAged });
  await connected(port);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect([left, server.connections().size]).toEqual([[], 1]);
});
