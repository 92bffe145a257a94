import { describe, expect, test } from 'vitest';
import type { GatewayProcess } from '../support/gateway-process.js';
import { messagesOf, positionOf, publishAll } from '../support/message-calls.js';
import type { RawClient } from '../support/raw-client.js';
import { newSession, useCluster, watch } from './use-cluster.js';

const MIB = 1_048_576;
const STALLED = 10;
/** More than the kernel keeps for a reader that does not read, several times over. */
const MESSAGES = 2_000;
const TEXT = 'x'.repeat(8_000);

async function residentBytes(node: GatewayProcess): Promise<number> {
  const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
}

async function publishMany(node: GatewayProcess, session: string): Promise<void> {
  for (let start = 0; start < MESSAGES; start += 50) {
    const results = await publishAll(
      node,
      session,
      Array.from({ length: 50 }, (_, i) => ({ data: `${start + i} ${TEXT}` })),
    );
    expect(results.every((result) => !('error' in result))).toBe(true);
  }
}

describe('subscribers that stop reading', () => {
  const cluster = useCluster({
    nodes: 2,
    args: ['--history-count', '10000', '--history-bytes', `${64 * MIB}`, '--pong-timeout-ms', '20000'],
  });

  test('cost their limit, delay nobody, and have everything when they read again', async () => {
    const session = newSession();
    const others = await Promise.all(Array.from({ length: 5 }, () => cluster().connect(0)));
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => cluster().connect(0)));
    for (const client of [...others, ...stalled]) await watch(client, session);
    const before = await residentBytes(cluster().node(0));
    for (const client of stalled) client.stopReading();
    await publishMany(cluster().node(1), session);
    const offsets = (clients: readonly RawClient[]) => clients.map((client) => positionOf(client, session).offset);
    await expect.poll(() => offsets(others), { timeout: 10_000 }).toEqual(others.map(() => MESSAGES));
    // 16 MB went to each: without a bound it would be 160 MB.
    const grown = (await residentBytes(cluster().node(0))) - before;
    expect(grown / MIB).toBeLessThan(2 * STALLED + 60);
    expect(stalled.map((client) => messagesOf(client, session).length)).toEqual(stalled.map(() => 0));

    for (const client of stalled) client.startReading();
    await expect.poll(() => offsets(stalled), { timeout: 20_000 }).toEqual(stalled.map(() => MESSAGES));
    for (const client of stalled) {
      expect(client.closed).toBeUndefined();
      expect(client.all('lagged').length).toBeGreaterThan(0);
      expect(client.all('reset')).toEqual([]);
    }
  }, 60_000);
});

describe('a subscriber that stops reading for longer than the history goes back', () => {
  const cluster = useCluster({ nodes: 1, args: ['--history-count', '100', '--pong-timeout-ms', '20000'] });

  test('is told where it goes on', async () => {
    const session = newSession();
    const stalled = await cluster().connect(0);
    await watch(stalled, session);
    stalled.stopReading();
    await publishMany(cluster().node(0), session);
    stalled.startReading();
    await expect.poll(() => positionOf(stalled, session).offset, { timeout: 20_000 }).toBe(MESSAGES);
    expect(stalled.all('reset').map(({ recovered }) => recovered)).toEqual([false]);
  }, 60_000);
});
