/** `npm run cluster`: a private Redis, some nodes and HAProxy on loopback, to break by hand. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { GatewayCluster } from '../test/support/cluster.js';
import { HAPROXY_HELP } from '../test/support/haproxy.js';
import { ensureInstalled } from '../test/support/redis-binary.js';
import { commands, runCommand, statusTable } from './cluster/commands.js';
import { guide, help } from './cluster/guide.js';
import { PageServer } from './cluster/page-server.js';

const EVERYBODY = fileURLToPath(new URL('./cluster/everybody.json', import.meta.url));
const DEFAULTS = { nodes: 3, 'grace-ms': 30_000, 'base-port': 8100 };

type Option = keyof typeof DEFAULTS;

function integer(values: Partial<Record<Option, string>>, name: Option, min: number, max: number): number {
  const value = Number(values[name] ?? DEFAULTS[name]);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be an integer from ${min} to ${max}, not ${values[name]}`);
}

function readArgs() {
  const string = { type: 'string' } as const;
  const options = {
    nodes: string,
    'grace-ms': string,
    'base-port': string,
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help === true) return undefined;
  return {
    nodes: integer(values, 'nodes', 1, 50),
    graceMs: integer(values, 'grace-ms', 100, 86_400_000),
    basePort: integer(values, 'base-port', 1_024, 65_000),
  };
}

async function requirePrograms(): Promise<void> {
  const found = await Promise.all([
    ensureInstalled('redis-server').then(
      (there) => there || 'redis-server 7.0 or later is missing (on Debian: apt-get install redis-server)',
    ),
    ensureInstalled('haproxy').then((there) => there || HAPROXY_HELP),
  ]);
  const missing = found.filter((line) => line !== true);
  if (missing.length > 0) throw new Error(missing.join('\n'));
}

async function main(): Promise<void> {
  const args = readArgs();
  if (args === undefined) return console.log(help(DEFAULTS));
  await requirePrograms();
  const origins = ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${args.basePort}`);
  const settings = [
    ['--config', EVERYBODY],
    ['--access', 'rules'],
    ['--auth', 'login,anonymous'],
    ['--allowed-origins', origins.join()],
    // A load balancer in front, and many connections from one address: ours.
    ['--trusted-proxies', '127.0.0.1'],
    ['--drain-ms', '5000'],
  ].flat();
  const page = await PageServer.listen();
  const cluster = await GatewayCluster.start({ ...args, haproxy: { pagePort: page.port }, args: settings });

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    console.log('stopping');
    page.stop();
    await cluster.stop();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop());

  const tell = (line: string) => {
    if (!stopping) console.log(line);
  };
  const watch = (node: (typeof cluster.nodes)[number]) =>
    void node.exit.then(({ code, signal }) => tell(`${node.nodeId} ended with ${signal ?? `exit code ${code}`}`));
  for (const node of cluster.nodes) watch(node);

  const context = { cluster, tell, watch };
  page.serve(context);

  console.log(guide(cluster));
  console.log(await statusTable(cluster));
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === 'quit') return stop();
    await runCommand(line, context).catch((error: Error) => tell(error.message));
  }
  tell(`no more input; commands are off (${Object.keys(commands).join(', ')}), Ctrl-C still stops everything`);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
