import { describe } from 'vitest';
import { findChromium } from './chromium.js';

/** Tests in a Chromium: skipped by name where a person has none, and failing under CI. */
export function describeWithChromium(name: string, tests: () => void): void {
  const isSkipped = findChromium() === undefined && process.env['CI'] !== 'true';
  describe.skipIf(isSkipped)(`${name} (needs a chromium on PATH)`, tests);
}
