import type { GatewayCluster } from '../../test/support/cluster.js';
import type { GatewayProcess } from '../../test/support/gateway-process.js';

export interface Context {
  cluster: GatewayCluster;
  tell: (line: string) => void;
  /** To be called for a node that was started again. */
  watch: (node: GatewayProcess) => void;
}

interface Command {
  help: string;
  run: (node: GatewayProcess, context: Context) => Promise<void> | void;
}

/** What can be done to node N, by name. */
export const commands: Readonly<Record<string, Command>> = {
  kill: {
    help: 'SIGKILL node N: its connections break, its sessions are owned until their leases end',
    run: (node) => node.kill(),
  },
  stop: {
    help: 'SIGSTOP node N: its sockets stay open and nothing answers',
    run: (node) => node.pause(),
  },
  cont: {
    help: 'SIGCONT node N: it wakes up and finds out what it lost',
    run: (node) => node.resume(),
  },
  drain: {
    help: 'SIGTERM node N: it hands over, hints its clients to reconnect, and exits',
    // Not awaited, so that other commands work while it drains.
    run: (node) => void node.terminate(),
  },
  start: {
    help: 'start node N again, on its old ports',
    run: async (node, { tell, watch }) => {
      if (node.running) throw new Error(`${node.nodeId} runs already`);
      await node.start();
      watch(node);
      tell(`${node.nodeId} is back with pid ${node.pid}`);
    },
  },
};

/** @throws Error for a line that is no command, or a command that cannot be done now */
export async function runCommand(line: string, context: Context): Promise<void> {
  const [name = '', which = ''] = line.trim().split(/\s+/);
  if (name === '') return;
  const { cluster, tell } = context;
  if (name === 'status') return tell(await statusTable(cluster));
  const command = commands[name];
  if (command === undefined) {
    throw new Error(
      `unknown command ${JSON.stringify(name)}; there are ${Object.keys(commands).join(', ')}, status, quit`,
    );
  }
  const node = cluster.nodes[Number(which) - 1];
  if (node === undefined) throw new Error(`${name} which node? 1 to ${cluster.nodes.length}`);
  if (name !== 'start' && !node.running) throw new Error(`${node.nodeId} does not run; start ${which} brings it back`);
  await command.run(node, context);
}

/** Every process with its pid, addresses and state. */
export async function statusTable(cluster: GatewayCluster): Promise<string> {
  const rows = [
    ['', 'pid', 'clients connect to', 'health and metrics', ''],
    ['haproxy', `${cluster.haproxy.pid}`, cluster.haproxy.connectUrl, '', ''],
  ];
  const states = await Promise.all(cluster.nodes.map((node) => stateOf(node)));
  for (const [i, node] of cluster.nodes.entries()) {
    rows.push([node.nodeId, node.running ? `${node.pid}` : '-', node.connectUrl, node.internalUrl, states[i] ?? '']);
  }
  rows.push(['redis', `${cluster.redis.pid}`, cluster.redis.url, '', '']);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function stateOf(node: GatewayProcess): Promise<string> {
  if (!node.running) return 'ended';
  return (await node.isReady()) ? 'ready' : 'not ready';
}
