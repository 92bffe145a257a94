import { clusterMasterLoss, clusterMigration, restart, type SetUp, sentinelKill, sentinelPlanned } from './set-ups.js';

export interface Scenario {
  readonly help: string;
  /** What the rows of the failure matrix in ARCHITECTURE.md that say what is promised begin with. */
  readonly rows: readonly string[];
  /** What was acknowledged within that time before the fault may be lost. */
  readonly mayLoseMs: number;
  setUp(): Promise<SetUp>;
}

const FAILOVER = [
  'Failover that loses writes',
  'Messages: failover that loses the last appends',
  'Logins: failover that loses a rotation',
];
const RESTART = 'Redis restarts from an append-only file';

export const SCENARIOS = {
  'redis-restart': {
    help: 'one Redis with an append-only file (everysec) is killed, and starts again two seconds later',
    rows: [RESTART, `Messages: ${RESTART}`, `Logins: ${RESTART}`],
    mayLoseMs: 2_000,
    setUp: restart,
  },
  'sentinel-kill': {
    help: 'the master of three servers under three Sentinels is killed',
    rows: FAILOVER,
    mayLoseMs: 1_000,
    setUp: sentinelKill,
  },
  'sentinel-planned': {
    help: 'the same set-up is told to fail over, its master paused for writes',
    rows: ['Planned failover'],
    mayLoseMs: 0,
    setUp: sentinelPlanned,
  },
  'cluster-migration': {
    help: 'eight slots of a Cluster of three masters, each with a replica, move to another master',
    rows: ['A slot of Redis Cluster moves', 'Messages: a slot of Redis Cluster moves'],
    mayLoseMs: 0,
    setUp: clusterMigration,
  },
  'cluster-master-loss': {
    help: 'a master of that Cluster is killed',
    rows: FAILOVER,
    mayLoseMs: 1_000,
    setUp: clusterMasterLoss,
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
