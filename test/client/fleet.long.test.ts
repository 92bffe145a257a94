import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, createClient, type Session } from '../../src/client/index.js';
import { newSession, noHaproxy, useCluster, withHaproxy } from '../cluster/use-cluster.js';

const CLIENTS = 500;
/** A draining node closes its connections 10 ms apart, as long as they fit into most of `--drain-ms`. */
const CLOSES_PER_SECOND = 100;
/** Each comes back up to a second later than others, by chance; without any pacing nearly three times as many would. */
const CHANCE = 1.5;
/** HAProxy asks a node that is back once a second. */
const KNOWN_AGAIN_MS = 1_500;
const EVERYBODY = { timeout: 30_000, interval: 20 };

interface Member {
  client: Client;
  session: Session;
  /** Its states since it became the owner first. */
  states: string[];
}

/** The most of these times that lie within one second. */
function busiestSecond(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  let from = 0;
  return sorted.reduce((most, timeMs, index) => {
    while (timeMs - (sorted[from] ?? 0) >= 1_000) from += 1;
    return Math.max(most, index - from + 1);
  }, 0);
}

describe.skipIf(noHaproxy)(withHaproxy(`${CLIENTS} clients behind HAProxy and three nodes`), () => {
  const cluster = useCluster({ haproxy: true, graceMs: 30_000, args: ['--drain-ms', '8000'] });
  const fleet: Member[] = [];
  /** When each connection was welcomed. */
  let welcomesMs: number[] = [];

  afterEach(() => {
    for (const { client } of fleet.splice(0)) client.close();
  });

  function enlist(): void {
    const client = createClient({ url: cluster().haproxy.connectUrl, WebSocket });
    client.on('connection', ({ name }) => {
      if (name === 'open') welcomesMs.push(performance.now());
    });
    const member: Member = { client, session: client.session(newSession()), states: [] };
    member.session.on('state', ({ state }) => member.states.push(state.name));
    fleet.push(member);
  }

  const owners = () => fleet.filter(({ session }) => session.state.name === 'owner').length;

  test('a rolling restart: all are owners again, and come back no faster than they are told to', async () => {
    for (let count = 0; count < CLIENTS; count += 1) {
      enlist();
      if (count % 25 === 0) await sleep(50);
    }
    await expect.poll(owners, EVERYBODY).toBe(CLIENTS);
    for (const member of fleet) member.states = [];
    welcomesMs = [];

    for (const node of cluster().nodes) {
      const stoppedMs = performance.now();
      const before = welcomesMs.length;
      await node.stop();
      await expect.poll(owners, EVERYBODY).toBe(CLIENTS);
      const moved = welcomesMs.slice(before);
      const busiest = busiestSecond(moved);
      const recoveryMs = Math.round((moved.at(-1) ?? stoppedMs) - stoppedMs);
      console.log(`${node.nodeId}: ${moved.length} moved in ${recoveryMs} ms, at most ${busiest} in a second`);
      expect(moved.length).toBeGreaterThan(0);
      expect(busiest).toBeLessThanOrEqual(CLOSES_PER_SECOND * CHANCE);
      await node.start();
      await sleep(KNOWN_AGAIN_MS);
    }

    for (const { states } of fleet) expect(new Set(states)).toEqual(new Set(['reconnecting', 'owner']));
    expect(welcomesMs.length).toBeGreaterThanOrEqual(CLIENTS);
  }, 120_000);
});
