/** `npm run outage-report`: outages of Redis under load, beside what ARCHITECTURE.md promises. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { print } from './outages/print.js';
import { broken, type Result, runScenario } from './outages/run-scenario.js';
import { SCENARIOS, type ScenarioName } from './outages/scenarios.js';

const NAMES = Object.keys(SCENARIOS) as ScenarioName[];
const DEFAULTS = { sessions: '200', rate: '5' };

const HELP = `npm run outage-report [-- OPTION …]

Runs each scenario with its own Redis and three nodes on loopback, and prints recovery times and losses beside what
ARCHITECTURE.md promises. Exit code 1 when a promise is broken.

  --only NAME,…   these scenarios instead of all:
${NAMES.map((name) => `                    ${name.padEnd(20)} ${SCENARIOS[name].help}`).join('\n')}
  --sessions N    owned sessions (default ${DEFAULTS.sessions})
  --rate N        messages a second of each owner (default ${DEFAULTS.rate})
  --json FILE     writes all figures there too

Needs redis-server 7.0 or later.`;

function readArgs() {
  const string = { type: 'string' } as const;
  const options = {
    only: string,
    sessions: string,
    rate: string,
    json: string,
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help === true) return undefined;
  const { only, sessions, rate, json } = { ...DEFAULTS, ...values };
  const names = only === undefined ? NAMES : only.split(',').map(scenarioNamed);
  const size = { sessions: integer('sessions', sessions, 5_000), rate: integer('rate', rate, 1_000) };
  return { names, size, json };
}

function scenarioNamed(name: string): ScenarioName {
  const found = NAMES.find((it) => it === name);
  if (found === undefined) throw new Error(`there is no scenario ${name}; there are ${NAMES.join(', ')}`);
  return found;
}

function integer(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${name} must be an integer from 1 to ${max}, not ${text}`);
}

async function main(): Promise<void> {
  const args = readArgs();
  if (args === undefined) return console.log(HELP);
  const results: Result[] = [];
  for (const name of args.names) {
    const result = await runScenario(name, args.size, (line) => console.error(line));
    results.push(result);
    print(result);
  }
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(results, undefined, 2)}\n`);
  const failed = results.filter((result) => broken(result).length > 0);
  console.log(
    failed.length === 0 ? '\nEvery promise holds.' : `\nBroken: ${failed.map(({ scenario }) => scenario).join(', ')}`,
  );
  process.exit(failed.length === 0 ? 0 : 1);
}

// What was started ends with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
