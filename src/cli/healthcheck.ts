import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import type { SettingName } from '../config.js';
import { CommandFailure } from './failure.js';
import { addSettings, readSettings } from './settings.js';

const USED = ['internalHost', 'internalPort'] as const satisfies SettingName[];
const PATIENCE_MS = 2_000;
const SHOWN_CHARACTERS = 200;

/** Where a process of this machine reaches who listens on `host`. */
function reached(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

/** @throws CommandFailure unless it answers 200 in time */
async function expectOk(url: string): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  let said: string;
  try {
    // Unlike `fetch` it takes any port.
    const [response] = (await once(get(url, { signal, agent: false }), 'response')) as [IncomingMessage];
    const body = await text(response);
    if (response.statusCode === 200) return;
    said = `${response.statusCode} ${body.slice(0, SHOWN_CHARACTERS).replace(/\s+/g, ' ').trim()}`;
  } catch (error) {
    said = signal.aborted ? `no answer within ${PATIENCE_MS / 1_000} s` : (error as Error).message;
  }
  throw new CommandFailure(`${url}: ${said}`);
}

export function healthcheckCommand(): Command {
  const command = new Command('healthcheck')
    .description('ask the gateway on this machine whether it lives; exits with 1 unless it does')
    .option('--ready', 'ask whether it takes connections');
  return addSettings(command, {}, USED).action(async () => {
    const { internalHost, internalPort } = readSettings(command, {}, USED).config;
    const path = command.opts()['ready'] === true ? 'readyz' : 'livez';
    await expectOk(`http://${reached(internalHost)}:${internalPort}/${path}`);
  });
}
