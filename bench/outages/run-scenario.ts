import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayCluster } from '../../test/support/cluster.js';
import { UNLIMITED } from '../gateway.js';
import { REUSE_INTERVAL_MS } from './callers.js';
import type { Verb, VerbFigures } from './calls.js';
import type { Findings, LostOwner } from './ledger.js';
import { Load, type LoadSize } from './load.js';
import { type Promised, promised } from './promises.js';
import { SCENARIOS, type Scenario, type ScenarioName } from './scenarios.js';
import type { SetUp } from './set-ups.js';
import { type Check, checksOf, type Evidence, type Loss, lossOf } from './verdict.js';
import { World } from './world.js';

const NODES = 3;
/** As by default: outages here are shorter than the lease. */
const GRACE_MS = 30_000;
const WARM_UP_MS = 3_000;
const QUIET_MS = 3_000;
/** Longer than a lease, which is what an owner whose claim was lost has to wait for. */
const GIVE_UP_MS = 60_000;

const ARGS = [
  UNLIMITED,
  ['--auth', 'anonymous,login', '--reuse-interval-ms', `${REUSE_INTERVAL_MS}`],
  ['--max-connections-per-address', '1000000'],
  // Everything is read again at the end.
  ['--history-count', '100000', '--history-bytes', '67108864'],
].flat();

export interface Result {
  scenario: ScenarioName;
  promised: Promised[];
  /** Calls a second before the fault, all verbs. */
  callsPerSecond: number;
  /** From the fault until Redis took writes again; of a slot migration, until it was done. */
  redisMs: number;
  verbs: Record<Verb, VerbFigures>;
  loss: Loss;
  lostOwners: LostOwner[];
  findings: Findings;
  /** Some of the findings in words. */
  examples: string[];
  checks: Check[];
}

export function broken({ checks }: Result): Check[] {
  return checks.filter(({ measured, allowed }) => measured > allowed);
}

/**
 * Breaks one Redis set-up under load and takes the figures.
 * @param tell hears of the progress
 * @throws Error when the load itself cannot run
 */
export async function runScenario(name: ScenarioName, size: LoadSize, tell: (line: string) => void): Promise<Result> {
  const scenario: Scenario = SCENARIOS[name];
  const rows = promised(scenario.rows);
  tell(`${name}: starting Redis and ${NODES} nodes`);
  const redis = await scenario.setUp();
  let cluster: GatewayCluster | undefined;
  try {
    cluster = await GatewayCluster.start({ nodes: NODES, redisUrl: redis.url, graceMs: GRACE_MS, args: ARGS });
    const world = new World(cluster);
    const load = new Load(world, size);
    try {
      await load.start();
      const measured = await breakUnder(load, world, redis, tell);
      const evidence: Evidence = { ...measured, ...(await gather(load, world, tell)), mayLoseMs: scenario.mayLoseMs };
      for (const node of cluster.nodes) node.check();
      return { scenario: name, promised: rows, ...resultOf(evidence), callsPerSecond: measured.callsPerSecond };
    } finally {
      load.close();
    }
  } finally {
    await cluster?.stop();
    await redis.stop();
  }
}

async function breakUnder(load: Load, { calls }: World, redis: SetUp, tell: (line: string) => void) {
  tell(`  ${load.sessions.length} sessions at work`);
  await sleep(WARM_UP_MS);
  const done = Object.values(calls.figures()).reduce((sum, { ok }) => sum + ok, 0);
  const callsPerSecond = Math.round(done / (WARM_UP_MS / 1_000));
  const faultMs = calls.fault();
  await redis.fault();
  const redisMs = calls.repaired();
  tell(`  Redis is back after ${Math.round(redisMs)} ms`);
  while (!calls.isQuiet(QUIET_MS) && performance.now() - faultMs < GIVE_UP_MS) await sleep(100);
  return { faultMs, redisMs, callsPerSecond, failing: calls.failing() };
}

async function gather(load: Load, { calls, ledger }: World, tell: (line: string) => void) {
  tell('  comparing what was acknowledged with what there is');
  await load.stop();
  const stored = await load.stored();
  const behind = await load.behind(stored);
  return { stored, behind, ledger, verbs: calls.figures(), early: calls.early };
}

function resultOf(evidence: Evidence): Omit<Result, 'scenario' | 'promised' | 'callsPerSecond'> {
  const { redisMs, verbs, ledger } = evidence;
  const loss = lossOf(evidence);
  const { lostOwners, findings, examples } = ledger;
  return { redisMs, verbs, loss, lostOwners, findings, examples, checks: checksOf(evidence, loss) };
}
