/** What tests of two versions side by side share. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type GatewayProcess, MAIN } from '../support/gateway-process.js';
import { type PreviousRelease, previousRelease } from '../support/previous-release.js';

const found = await previousRelease();

/** Why these tests cannot run here. */
export const noPrevious = typeof found === 'string' ? found : undefined;

/** A suite's name, with the reason when it has to be skipped. */
export const withPrevious = (name: string) => (noPrevious === undefined ? name : `${name} (skipped: ${noPrevious})`);

/** @throws Error where it cannot be had */
export function previous(): PreviousRelease {
  if (typeof found === 'string') throw new Error(found);
  return found;
}

/** The programs of two nodes: the first is of the previous release, the second of this one. */
export const bothMains = () => [previous().main, MAIN];

/** From which of these nodes to which. */
export const WAYS: [way: string, from: number, to: number][] = [
  ['from the old version to the new one', 0, 1],
  ['from the new version to the old one', 1, 0],
];

const run = promisify(execFile);

/** What the command of one version prints of a deployment of both. @throws Error when it fails */
export async function commandOf(main: string, { redisUrl, redisPrefix }: GatewayProcess, ...args: string[]) {
  const command = [main, ...args, '--redis-url', redisUrl, '--redis-prefix', redisPrefix];
  const { stdout } = await run(process.execPath, command, { timeout: 30_000 });
  return stdout;
}
