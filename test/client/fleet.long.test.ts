import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newSession, noHaproxy, useCluster, withHaproxy } from '../cluster/use-cluster.js';
import { busiestSecond } from '../support/busiest-second.js';
import { Fleet } from './fleet.js';

const CLIENTS = 500;
/** What a draining node keeps to, of so few connections. */
const PER_SECOND = 100;
/** HAProxy asks a node that is back once a second. */
const KNOWN_AGAIN_MS = 1_500;

describe.skipIf(noHaproxy)(withHaproxy(`${CLIENTS} clients behind HAProxy and three nodes`), () => {
  const cluster = useCluster({ haproxy: true, graceMs: 30_000, args: ['--drain-ms', '8000'] });
  let fleet: Fleet;

  beforeEach(async () => {
    fleet = new Fleet(cluster().haproxy.connectUrl);
    await fleet.enlist(CLIENTS, newSession);
  });
  afterEach(() => fleet.close());

  test('a rolling restart: all are owners again, and never come back faster than at the pace', async () => {
    let moved = 0;
    for (const node of cluster().nodes) {
      const leg = fleet.begin();
      const { startedMs, welcomesMs, closes } = leg;
      await node.stop();
      await fleet.untilAllOwn();
      const busiest = busiestSecond(welcomesMs);
      const recoveryMs = Math.round((welcomesMs.at(-1) ?? startedMs) - startedMs);
      console.log(`${node.nodeId}: ${welcomesMs.length} moved in ${recoveryMs} ms, at most ${busiest} in a second`);
      expect(busiest).toBeLessThanOrEqual(leg.atMost(PER_SECOND));
      // There were enough of them for the pace to matter.
      expect(welcomesMs.length).toBeGreaterThan(PER_SECOND);
      expect([...closes.keys()]).toEqual([1012]);
      moved += welcomesMs.length;
      await node.start();
      await sleep(KNOWN_AGAIN_MS);
    }
    expect(moved).toBeGreaterThanOrEqual(CLIENTS);
    expect([...fleet.lost]).toEqual([]);
  }, 120_000);

  test('a node that is killed while it drains: those that are left come back over the time that it had', async () => {
    const node = cluster().node(0);
    fleet.begin();
    void node.terminate();
    await expect.poll(() => fleet.leg.welcomesMs.length, { timeout: 10_000, interval: 5 }).toBeGreaterThan(10);
    const left = fleet.on(node.nodeId);
    const killed = fleet.begin();
    await node.kill();
    await fleet.untilAllOwn();
    const busiest = busiestSecond(killed.welcomesMs);
    console.log(`${left} of ${CLIENTS} cut off, at most ${busiest} back in a second`);
    expect(killed.closes.get(1006)).toBeGreaterThan(PER_SECOND);
    // By chance, and not by turns.
    expect(busiest).toBeLessThanOrEqual(killed.atMost(PER_SECOND) * 1.5);
    expect([...fleet.lost]).toEqual([]);
  }, 60_000);
});
