import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayCluster } from '../../test/support/cluster.js';
import type { GatewayProcess } from '../../test/support/gateway-process.js';
import { HAPROXY_HELP } from '../../test/support/haproxy.js';
import { ensureInstalled } from '../../test/support/redis-binary.js';
import type { DeployedNode, Deployment, Tell } from './deployment.js';

const DRAIN_MS = 25_000;
/** The default grace period. */
const GRACE_MS = 30_000;
/** HAProxy asks once a second. */
const KNOWN_AGAIN_MS = 1_500;
/** What an orchestrator waits for beyond the drain. */
const PATIENCE_MS = 10_000;
/** All clients have one address. */
const ROOM = ['--max-connections-per-address', '1000000'];

/** Three nodes, a private Redis and HAProxy as processes on free ports, with the settings of a deployment. */
export async function startProcesses(tell: Tell): Promise<Deployment> {
  if (!(await ensureInstalled('redis-server'))) {
    throw new Error('redis-server 7.0 or later is missing (on Debian: apt-get install redis-server)');
  }
  if (!(await ensureInstalled('haproxy'))) throw new Error(HAPROXY_HELP);
  tell('starting Redis, three nodes and HAProxy');
  const args = ['--drain-ms', `${DRAIN_MS}`, ...ROOM];
  const cluster = await GatewayCluster.start({ haproxy: true, graceMs: GRACE_MS, args });
  return {
    connectUrl: cluster.haproxy.connectUrl,
    nodes: cluster.nodes.map(deployed),
    drainMs: DRAIN_MS,
    stop: () => cluster.stop(),
  };
}

function deployed(node: GatewayProcess): DeployedNode {
  return {
    name: node.nodeId,
    async end(signal) {
      if (signal === 'SIGKILL') {
        await node.kill();
        return undefined;
      }
      const late = setTimeout(() => void node.kill(), DRAIN_MS + PATIENCE_MS);
      const { code, signal: by } = await node.terminate();
      clearTimeout(late);
      return code === 0 ? undefined : `ended with ${by ?? `exit code ${code}`} after SIGTERM`;
    },
    async start() {
      await node.start();
      await sleep(KNOWN_AGAIN_MS);
    },
  };
}
