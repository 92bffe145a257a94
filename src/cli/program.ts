/** The command line: what each command is called is in its file. Exit codes: 0 done, 1 failed, 2 wrong usage. */
import { Command, CommanderError } from 'commander';
import { version } from '../version.js';
import { checkConfigCommand } from './check-config.js';
import { devCommand } from './dev.js';
import { drainCommand, undrainCommand } from './drain.js';
import { explainFailure } from './failure.js';
import { healthcheckCommand } from './healthcheck.js';
import { issueTokenCommand } from './issue-token.js';
import { keygenCommand } from './keygen.js';
import { nodesCommand } from './nodes.js';
import { playgroundCommand } from './playground.js';
import { printConfigCommand } from './print-config.js';
import { printScriptCommand } from './print-script.js';
import { rebalanceCommand } from './rebalance.js';
import { serveCommand } from './serve.js';

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
