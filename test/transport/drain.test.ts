import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { drain } from '../../src/ops/drain.js';
import { connected, QUIET, refusedUpgrade, startGateway } from './gateway.js';

it('a draining node hints, holds, closes in pace and takes nobody', async () => {
  const { port, server, sessions } = await startGateway();
  const clients = await Promise.all(Array.from({ length: 20 }, () => connected(port)));
  const closedAtMs: number[] = [];
  const startedMs = performance.now();
  const closes = clients.map(async (client) => {
    const close = await client.closed();
    closedAtMs.push(performance.now() - startedMs);
    return close;
  });

  server.refuseUpgrades(2_000);
  const done = drain({
    connections: () => server.connections(),
    perSecond: 40,
    spreadMs: 400,
    deadlineMs: 3_000,
    graceMs: 30_000,
    clock: systemClock,
    log: QUIET,
    sleep,
  });
  expect(await refusedUpgrade(port)).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
  for (const client of clients) {
    expect(await client.next()).toEqual({ type: 'reconnect', after_ms: 0, jitter_ms: 400, reason: 'drain' });
  }
  for (const client of clients) {
    expect(await client.next()).toEqual({ type: 'reconnect', after_ms: 0, jitter_ms: 0, reason: 'drain' });
  }
  expect(await done).toMatchObject({ total: 20, left: 0 });
  expect(await Promise.all(closes)).toEqual(clients.map(() => ({ code: 1012, reason: 'restart' })));
  expect(sessions.departures).toHaveLength(20);
  expect(new Set(sessions.departures.map(({ holdMs }) => holdMs))).toEqual(new Set([30_000]));
  expect(closedAtMs.filter((ms) => ms < 300).length).toBeLessThanOrEqual(12);
  expect(Math.max(...closedAtMs)).toBeGreaterThan(500);
});
