import { randomUUID } from 'node:crypto';
import { drainPace } from '../../src/ops/node-drain.js';
import { Fleet } from '../../test/client/fleet.js';
import { busiestSecond } from '../../test/support/busiest-second.js';
import type { DeployedNode, Deployment, Tell } from './deployment.js';
import { percentile, type Report, type Step } from './report.js';

export interface RolloutOptions {
  owners: number;
  everyMs: number;
  signal: Report['signal'];
}

const RESTART = 1012;

/** Connects the owners, restarts every node in turn under them, and says what became of them. */
export async function rollOut(
  deployment: Deployment,
  { owners, everyMs, signal }: RolloutOptions,
  tell: Tell,
): Promise<Report> {
  const fleet = new Fleet(deployment.connectUrl, { everyMs });
  try {
    tell(`connecting ${owners} owners through HAProxy`);
    const run = randomUUID().slice(0, 8);
    let made = 0;
    await fleet.enlist(owners, () => `rollout:${run}-${made++}`);
    const steps: Step[] = [];
    for (const node of deployment.nodes) {
      steps.push(await restart(node, fleet, signal, deployment.drainMs, tell));
    }
    tell('waiting for the last messages');
    const messages = await fleet.settle();
    return { signal, owners, every_ms: everyMs, steps, owners_lost: fleet.lost.size, messages };
  } finally {
    fleet.close();
  }
}

async function restart(
  node: DeployedNode,
  fleet: Fleet,
  signal: Report['signal'],
  drainMs: number,
  tell: Tell,
): Promise<Step> {
  const connections = fleet.on(node.name);
  const drains = signal === 'SIGTERM';
  tell(`${node.name}: ${signal}, with ${connections} connections`);
  const leg = fleet.begin();
  const faults: string[] = [];
  const fault = await node.end(signal);
  if (fault !== undefined) faults.push(fault);
  tell(`${node.name}: ended; starting it again`);
  await node.start();
  await fleet.untilAllOwn().catch((error: Error) => faults.push(error.message));
  const { absencesMs, closes, lastBackMs, latenessMs, startedMs, welcomesMs } = leg;
  const busiest = busiestSecond(welcomesMs);
  const pace = drainPace(connections, { drainMs, drainRate: 0 }, true);
  if (drains && busiest > leg.atMost(pace)) faults.push(`${busiest} came back within a second`);
  const others = [...closes].filter(([code]) => code !== RESTART);
  if (drains && others.length > 0) faults.push(`closed with ${others.map(([code]) => code).join(', ')}`);
  return {
    node: node.name,
    connections,
    moved: welcomesMs.length,
    all_back_ms: Math.round(lastBackMs - startedMs),
    absence_ms: { p50: percentile(absencesMs, 0.5), p99: percentile(absencesMs, 0.99), max: percentile(absencesMs, 1) },
    busiest_second: busiest,
    ...(drains && { pace }),
    lateness_ms: Math.round(latenessMs),
    closes: Object.fromEntries(closes),
    faults,
  };
}
