import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { ConfigError, type ConfigInput, loadConfig } from '../../src/config/load.js';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
/** @returns the path of a file that says this */
export function fileOf(content: unknown): string {
  files += 1;
  const path = join(folder, `${files}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

export function load(input: Partial<ConfigInput> = {}) {
  return loadConfig({ env: {}, flags: {}, ...input });
}

export function problems(input: Partial<ConfigInput>): readonly string[] {
  try {
    load(input);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('nothing was wrong');
}

export const SECRET = 'q'.repeat(40);
