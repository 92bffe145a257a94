import { findOnPath } from './redis-binary.js';

/** The first Chromium on PATH. */
export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return names.map(findOnPath).find((path) => path !== undefined);
}

/** In a container there is neither a user namespace for the sandbox nor much shared memory. */
export const CHROMIUM_ARGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
