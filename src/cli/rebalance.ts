import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import type { ListedNode } from '../ops/ports.js';
import { type Surplus, surplusOf } from '../ops/rebalance.js';
import { CommandFailure } from './failure.js';
import { type Fleet, fleetCommand, follow, isLost, onInterrupt, say } from './fleet.js';

/** A load balancer that does not look at connections sends some back: what is left is closed again. */
const MAX_ROUNDS = 5;
/** What nodes say of their connections is younger than this. */
const TOLD_WITHIN_MS = 1_000;
/** Clients are expected back within a good second; those that are not by then do not come. */
const BACK_WITHIN_MS = 5_000;
const DEFAULT_SPREAD_PERCENT = 10;

function between(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: a number from ${min} to ${max}.`);
  };
}

async function shed(fleet: Fleet, { node, count, perSecond }: Surplus): Promise<void> {
  const id = randomUUID();
  await fleet.tell({ kind: 'node_shed', bootId: node.bootId, id, count, perSecond });
  await follow(fleet, node, ({ nodeId, connections, shedding }) => ({
    line: `${nodeId}: ${connections} connections, ${shedding?.left} to be closed`,
    heeded: shedding?.id === id,
    done: shedding?.id === id && shedding.left === 0,
  }));
}

async function ready({ nodes }: Fleet): Promise<ListedNode[]> {
  return (await nodes.list()).filter((node) => node.state === 'ready' && !isLost(node));
}

function total(nodes: readonly ListedNode[]): number {
  return nodes.reduce((sum, { connections }) => sum + connections, 0);
}

/** Waits until as many are connected as before. */
async function settle(fleet: Fleet, before: number): Promise<void> {
  const endMs = performance.now() + BACK_WITHIN_MS;
  do await sleep(TOLD_WITHIN_MS);
  while (performance.now() < endMs && total(await ready(fleet)) < before);
}

function counts(nodes: readonly ListedNode[]): string {
  return nodes.map(({ nodeId, connections }) => `${nodeId} ${connections}`).join(', ');
}

export function rebalanceCommand(): Command {
  const command = new Command('rebalance')
    .description('even out connections: nodes that have more than the mean close the surplus, and clients come back')
    .requiredOption('--max-rate <n>', 'connections closed a second, over all nodes', between(0.1, 1_000_000))
    .option(
      '--to-spread <percent>',
      'how far above the mean a node may stay',
      between(0, 1_000),
      DEFAULT_SPREAD_PERCENT,
    );
  return fleetCommand(command, async (fleet) => {
    const { maxRate, toSpread: spreadPercent } = command.opts<{ maxRate: number; toSpread: number }>();
    onInterrupt('the nodes go on with what they were told to close');
    for (let round = 1; ; round += 1) {
      const nodes = await ready(fleet);
      const surplus = surplusOf(nodes, { spreadPercent, maxRate });
      if (surplus.length === 0) return say(`even: ${counts(nodes) || 'no node is ready'}`);
      if (round > MAX_ROUNDS) throw new CommandFailure(`not even after ${MAX_ROUNDS} rounds: ${counts(nodes)}`);
      say(`round ${round}: ${counts(nodes)}`);
      await Promise.all(surplus.map((one) => shed(fleet, one)));
      await settle(fleet, total(nodes));
    }
  });
}
