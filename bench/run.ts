/** `npm run bench [-- NAME …]`: side-by-side figures, as ratios in one run. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { claims } from './claims.js';
import { idle } from './idle.js';
import { logins } from './logins.js';
import { renewals } from './renewals.js';
import { reconnectStorm } from './storm.js';

const BENCHMARKS = {
  claims: { help: 'claim and reclaim against the bare script, and against redlock around commands', run: claims },
  renewals: { help: '20,000 leases renewed, 10,000 lapsed sessions swept', run: renewals },
  idle: { help: 'memory of 10,000 idle connections', run: idle },
  logins: { help: 'refreshing, connecting with tickets and access tokens, verifying them', run: logins },
  storm: { help: '5,000 owners cut at once and back over two nodes', run: reconnectStorm },
};

type Name = keyof typeof BENCHMARKS;

const HELP = `npm run bench [-- NAME …]

Runs all benchmarks, or those named:
${Object.entries(BENCHMARKS)
  .map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`)
  .join('\n')}

Trust the ratios, not the absolute figures. Needs Linux, redis-server and about 17,000 file descriptors.`;

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals;
const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
if (values.help === true || unknown !== undefined) {
  if (unknown !== undefined) console.error(`There is no benchmark ${unknown}.\n`);
  console.log(HELP);
  process.exit(unknown === undefined ? 0 : 2);
}

const here = fileURLToPath(new URL('.', import.meta.url));
if (names.includes('storm') && !existsSync(`${here}node_modules`)) {
  console.log('Installing what is compared with …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
for (const name of names as Name[]) {
  console.log(`\n${name}: ${BENCHMARKS[name].help}`);
  await BENCHMARKS[name].run();
}
