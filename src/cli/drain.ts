import { Command } from 'commander';
import type { NodeState } from '../ops/ports.js';
import { findNode, fleetCommand, follow, onInterrupt, say } from './fleet.js';

const NODE = ['<node>', 'its id, as `holdfast nodes` lists it'] as const;

function refusesUpgrades(state: NodeState): boolean {
  return state === 'draining' || state === 'drained';
}

export function drainCommand(): Command {
  const command = new Command('drain')
    .argument(...NODE)
    .description('let a node take no connections, and send away those that it has, until undrain or its end');
  return fleetCommand(command, async (fleet, name = '') => {
    const found = await findNode(fleet, name);
    await fleet.tell({ kind: 'node_drain', bootId: found.bootId });
    onInterrupt(`${name} drains on; \`holdfast undrain ${name}\` stops it`);
    await follow(fleet, found, ({ state, connections }) => ({
      line: `${name}: ${state}, ${connections} connections left`,
      heeded: refusesUpgrades(state),
      done: state === 'drained',
    }));
  });
}

export function undrainCommand(): Command {
  const command = new Command('undrain').argument(...NODE).description('let a drained node take connections again');
  return fleetCommand(command, async (fleet, name = '') => {
    const found = await findNode(fleet, name);
    // Whatever it is said to do: it may be about to read that it is to drain.
    await fleet.tell({ kind: 'node_undrain', bootId: found.bootId });
    if (!refusesUpgrades(found.state)) return say(`${name} is not drained`);
    await follow(fleet, found, ({ state, connections }) => {
      const heeded = !refusesUpgrades(state);
      return { line: `${name}: ${state}, ${connections} connections`, heeded, done: heeded };
    });
  });
}
