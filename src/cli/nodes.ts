import { Command } from 'commander';
import type { ListedNode } from '../ops/ports.js';
import { fleetCommand, isLost, say } from './fleet.js';
import { table } from './table.js';

function row(node: ListedNode): string[] {
  const { nodeId, state, connections, leases, version, configFingerprint, bootId, silentMs } = node;
  const counts = [connections, leases].map(String);
  const heard = `${Math.round(silentMs / 1_000)} s ago`;
  return [nodeId, isLost(node) ? 'lost' : state, ...counts, version, configFingerprint, bootId, heard];
}

export function nodesCommand(): Command {
  const command = new Command('nodes')
    .description('list the nodes: what each is doing, and whether all have the same version and settings')
    .option('--json', 'as JSON');
  return fleetCommand(command, async ({ nodes }) => {
    const listed = await nodes.list();
    if (command.opts()['json'] === true) return say(JSON.stringify(listed, undefined, 2));
    const header = ['node', 'state', 'connections', 'leases', 'version', 'settings', 'boot', 'heard of'];
    say(listed.length === 0 ? 'There are no nodes.' : table([header, ...listed.map(row)]));
  });
}
