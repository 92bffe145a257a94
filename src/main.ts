#!/usr/bin/env node
/** The process's entry: reads the command line and runs a command. Exit codes: 0 done, 1 failed, 2 wrong usage. */
import { Command, CommanderError } from 'commander';
import { checkConfigCommand } from './cli/check-config.js';
import { devCommand } from './cli/dev.js';
import { drainCommand, undrainCommand } from './cli/drain.js';
import { explainFailure } from './cli/failure.js';
import { healthcheckCommand } from './cli/healthcheck.js';
import { issueTokenCommand } from './cli/issue-token.js';
import { keygenCommand } from './cli/keygen.js';
import { nodesCommand } from './cli/nodes.js';
import { playgroundCommand } from './cli/playground.js';
import { printConfigCommand } from './cli/print-config.js';
import { printScriptCommand } from './cli/print-script.js';
import { rebalanceCommand } from './cli/rebalance.js';
import { serveCommand } from './cli/serve.js';
import { version } from './version.js';

const program = new Command('holdfast')
  .description('WebSocket gateway for sessions that one connection drives and many watch')
  .version(version());
const commands = [
  devCommand(),
  serveCommand(),
  healthcheckCommand(),
  playgroundCommand(),
  checkConfigCommand(),
  printConfigCommand(),
  printScriptCommand(),
  keygenCommand(),
  issueTokenCommand(),
  nodesCommand(),
  drainCommand(),
  undrainCommand(),
  rebalanceCommand(),
];
for (const command of commands) program.addCommand(command);
for (const command of [program, ...commands])
  command.allowExcessArguments(false).showHelpAfterError(false).exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`${explainFailure(error)}\n`);
    // A failed start can leave open what would keep the process.
    process.exit(1);
  }
}
