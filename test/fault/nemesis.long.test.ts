import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ReturningOwner } from '../cluster/returning-owner.js';
import { inspect, newSession, useCluster, watch } from '../cluster/use-cluster.js';
import { violationsIn } from '../support/invariants.js';
import { randomFrom } from '../support/random.js';
import type { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';

const FAULTS_MS = Number(process.env['HOLDFAST_TEST_FAULTS_MS'] ?? 10_000);
const SEED = Number(process.env['HOLDFAST_TEST_SEED'] ?? Date.now() % 1_000_000);
const OWNERS = 12;

describe('random faults', () => {
  const cluster = useCluster({ nodes: 3, graceMs: 2_000, proxied: true, args: ['--drain-ms', '1000'] });

  test(
    `no history breaks an invariant and every owner ends up with its session (seed ${SEED})`,
    async () => {
      const random = randomFrom(SEED);
      const upTo = (limit: number) => Math.floor(random() * limit);
      // What clients do is not part of the sequence of faults: they share no generator with it.
      const anyNode = () => cluster().node(Math.floor(Math.random() * 3)).connectUrl;
      const owners = Array.from({ length: OWNERS }, () => new ReturningOwner(anyNode, newSession()));
      await Promise.all(owners.map((owner) => owner.start()));
      const watchers: RawClient[] = [];
      const watchAll = async (node: number) => {
        const watcher = await cluster().connect(node);
        watchers.push(watcher);
        for (const { sessionId } of owners) await watch(watcher, sessionId);
      };

      const faults: Record<string, (node: number) => Promise<void>> = {
        kill: async (node) => {
          await cluster().node(node).kill();
          await sleep(upTo(1_000));
          await cluster().node(node).start();
        },
        drain: async (node) => {
          await cluster().node(node).stop();
          await cluster().node(node).start();
        },
        freeze: async (node) => {
          cluster().node(node).pause();
          await sleep(200 + upTo(3_500));
          cluster().node(node).resume();
        },
        partition: async (node) => {
          cluster().proxy(node).pause();
          await sleep(200 + upTo(3_500));
          cluster().proxy(node).resume();
        },
        reset: async (node) => cluster().proxy(node).killConnections(),
        slow: async (node) => {
          cluster().proxy(node).delay(upTo(700));
          await sleep(1_000);
          cluster().proxy(node).delay(0);
        },
        pubsub: async () => void (await redisCall(cluster().redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')),
        stall: async () => {
          cluster().redis.pause();
          await sleep(upTo(3_000));
          cluster().redis.resume();
        },
        cut: async () => owners.forEach(({ connection }) => void (random() < 0.4 && connection?.terminate())),
      };
      const names = Object.keys(faults);
      const done: string[] = [];
      const endMs = performance.now() + FAULTS_MS;
      while (performance.now() < endMs) {
        const name = names[upTo(names.length)] ?? '';
        const node = upTo(3);
        done.push(`${name} ${node + 1}`);
        await faults[name]?.(node);
        await watchAll(node).catch(() => {
          // A node that has just come back may not reach Redis yet.
        });
      }
      await cluster().heal();

      const why = `after ${done.join(', ')}`;
      for (const { sessionId, connections } of owners) {
        const isBack = async () => {
          const connection = connections.at(-1);
          if (connection === undefined || connection.closed !== undefined) return false;
          const truth = await inspect(cluster().node(0), sessionId);
          if (truth.connection_id === connection.id && truth.state === 'owned') return true;
          // It was away for too long, and its token is no longer good: whoever asks first has the session.
          await connection.request({ type: 'claim', session_id: sessionId });
          return false;
        };
        await expect.poll(isBack, { timeout: 15_000, interval: 200, message: `${sessionId} ${why}` }).toBe(true);
      }
      const histories = [...watchers, ...owners.flatMap(({ connections }) => connections)];
      expect(violationsIn(histories), why).toEqual([]);
      await Promise.all(owners.map((owner) => owner.stop()));
    },
    FAULTS_MS + 60_000,
  );
});
