import { type Browser, chromium, type LaunchOptions } from 'playwright-core';
import { findOnPath } from './redis-binary.js';

/** The first Chromium on PATH. */
export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return names.map(findOnPath).find((path) => path !== undefined);
}

/** In a container there is neither a user namespace for the sandbox nor much shared memory. */
const ARGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];

/** @throws Error where there is none on PATH */
export async function launchChromium({ args = [], ...options }: LaunchOptions = {}): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no chromium on PATH');
  return chromium.launch({ ...options, executablePath, args: [...ARGS, ...args] });
}
