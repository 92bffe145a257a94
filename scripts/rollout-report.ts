/** `npm run rollout-report`: what a rolling restart does to the owners of sessions, in figures. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startCompose } from './rollout-report/compose.js';
import type { Tell } from './rollout-report/deployment.js';
import { startProcesses } from './rollout-report/processes.js';
import { brokenPromises, print } from './rollout-report/report.js';
import { rollOut } from './rollout-report/rollout.js';

const DEFAULTS = { owners: 1_000, 'every-ms': 5_000 };
/** A gateway of docker-compose.yml takes 1,000 connections of an address, and two of them must do. */
const MOST_IN_COMPOSE = 1_500;

const HELP = `Usage: npm run rollout-report -- [options]

Starts three nodes, Redis and HAProxy, connects owners of sessions through HAProxy, lets each send numbered messages, and
restarts every node in turn as an orchestrator does: SIGTERM, its end, a new one, until that takes connections. Then it
prints how long owners were away, how fast they came back, and what was lost. Exits with 1 when something was.

  --owners N     how many, one session each (${DEFAULTS.owners})
  --every-ms N   how often each sends a message (${DEFAULTS['every-ms']})
  --kill         SIGKILL in place of SIGTERM
  --compose      what docker-compose.yml describes, in place of processes; with the image that is there, so run
                 \`docker compose build\` first
  --json FILE    writes the figures as JSON, too
  --help
`;

function integer(text: string | undefined, name: keyof typeof DEFAULTS, min: number, max: number): number {
  const value = Number(text ?? DEFAULTS[name]);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be an integer from ${min} to ${max}, not ${text}`);
}

function readArgs() {
  const { values } = parseArgs({
    options: {
      owners: { type: 'string' },
      'every-ms': { type: 'string' },
      kill: { type: 'boolean', default: false },
      compose: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    ...values,
    owners: integer(values.owners, 'owners', 1, values.compose ? MOST_IN_COMPOSE : 20_000),
    everyMs: integer(values['every-ms'], 'every-ms', 10, 60_000),
    signal: values.kill ? ('SIGKILL' as const) : ('SIGTERM' as const),
  };
}

async function main(): Promise<number> {
  const args = readArgs();
  if (args.help) {
    console.log(HELP);
    return 0;
  }
  const tell: Tell = (line) => console.error(line);
  const deployment = await (args.compose ? startCompose(tell) : startProcesses(tell));
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= deployment.stop();
    return stopped;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  }
  try {
    const report = await rollOut(deployment, args, tell);
    print(report);
    if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(report, undefined, 2)}\n`);
    return brokenPromises(report).length === 0 ? 0 : 1;
  } finally {
    await stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    console.error(error.message);
    process.exit(1);
  },
);
