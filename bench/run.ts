/** `npm run bench [-- NAME …]`: side-by-side figures, as ratios in one run. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { browser } from './browser.js';
import { claims } from './claims.js';
import { fanout } from './fanout.js';
import { idle } from './idle.js';
import { latency } from './latency.js';
import { logins } from './logins.js';
import { manySessions } from './many-sessions.js';
import { recovery } from './recovery.js';
import { renewals } from './renewals.js';
import { sends } from './sends.js';
import { reconnectStorm } from './storm.js';
import { twoNodes } from './two-nodes.js';

const BENCHMARKS = {
  claims: { help: 'claim and reclaim against the bare script, and against redlock around commands', run: claims },
  renewals: { help: '20,000 leases renewed, 10,000 lapsed sessions swept', run: renewals },
  idle: { help: 'memory of 10,000 idle connections', run: idle },
  logins: { help: 'refreshing, connecting with tickets and access tokens, verifying them', run: logins },
  fanout: { help: 'deliveries per CPU second of one session to 100, 1,000 and 5,000 subscribers', run: fanout },
  latency: { help: 'how long a lone message takes to 150 subscribers', run: latency },
  'two-nodes': { help: 'deliveries per CPU second when published on another node', run: twoNodes },
  sends: { help: 'send to send_ack against the bare script', run: sends },
  recovery: { help: '2,000 watchers come back to one session after 1,000 messages', run: recovery },
  'many-sessions': { help: 'a message a second in each of 10,000 sessions', run: manySessions },
  browser: { help: '50,000 messages a second in Chromium, against a bare WebSocket', run: browser },
  storm: { help: '5,000 owners cut at once and back over two nodes', run: reconnectStorm },
};

type Name = keyof typeof BENCHMARKS;

const HELP = `npm run bench [-- NAME …]

Runs all benchmarks, or those named:
${Object.entries(BENCHMARKS)
  .map(([name, { help }]) => `  ${name.padEnd(14)} ${help}`)
  .join('\n')}

Trust the ratios, not the absolute figures. Needs Linux, redis-server, taskset and about 17,000 file descriptors.`;

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals;
const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
if (values.help === true || unknown !== undefined) {
  if (unknown !== undefined) console.error(`There is no benchmark ${unknown}.\n`);
  console.log(HELP);
  process.exit(unknown === undefined ? 0 : 2);
}

const here = fileURLToPath(new URL('.', import.meta.url));
/** Those that are compared with packages of their own. */
const COMPARED = new Set(['fanout', 'two-nodes', 'storm']);
if (names.some((name) => COMPARED.has(name)) && !existsSync(`${here}node_modules/@socket.io/redis-adapter`)) {
  console.log('Installing what is compared with …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
for (const name of names as Name[]) {
  console.log(`\n${name}: ${BENCHMARKS[name].help}`);
  await BENCHMARKS[name].run();
}
