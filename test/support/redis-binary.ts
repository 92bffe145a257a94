import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const REDIS_HELP =
  'The tests need a Redis of 7.0 or later. Either install redis-server, or start Docker, or set HOLDFAST_TEST_REDIS_URL. ' +
  'Tests that stop and kill a Redis need redis-server itself.';

/** The path of an executable, or undefined. */
export function findOnPath(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

/** @throws Error that says what to install */
export function redisServerPath(): string {
  const path = findOnPath('redis-server');
  if (path === undefined) throw new Error(REDIS_HELP);
  return path;
}

/** Installs redis-server where that can be done without asking. @returns whether it is there now */
export function ensureRedisServer(): Promise<boolean> {
  return ensureInstalled('redis-server');
}

/** Installs the Debian package of a program, as root on Debian. @returns whether the program is there now */
export async function ensureInstalled(program: string): Promise<boolean> {
  if (findOnPath(program) !== undefined) return true;
  if (process.getuid?.() !== 0 || findOnPath('apt-get') === undefined) return false;
  // Debian starts a service at its installation unless this file forbids it.
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update'], { env });
    await run('apt-get', ['install', '-y', '--no-install-recommends', program], { env });
  } catch {
    return false;
  } finally {
    if (ours) await rm(policy);
  }
  return findOnPath(program) !== undefined;
}
