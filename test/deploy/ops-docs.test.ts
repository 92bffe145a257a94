import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIG_ENV, envName, FILE_NAMES, flagName } from '../../src/config/names.js';
import { SETTING_NAMES } from '../../src/config.js';

const ROOT = join(import.meta.dirname, '../..');
const DOCS = ['capacity', 'containers', 'deploying', 'kubernetes', 'metrics', 'redis', 'runbook', 'upgrading'].map(
  (name) => `docs/${name}.md`,
);

/** Of commands, and no settings. */
const OTHER_FLAGS = '--admin-key --hook-secret --max-rate --ready --signing-key --workers'.split(' ');
const FLAGS_OF_OTHERS = [
  '--build-arg --cap-drop --env-file --force-recreate --no-deps --read-only --rm --security-opt --stop-timeout',
  '--from-env-file',
  '--rdb',
].flatMap((flags) => flags.split(' '));
const FLAGS = new Set([...SETTING_NAMES.map(flagName), ...OTHER_FLAGS, ...FLAGS_OF_OTHERS]);
const VARIABLES = new Set([
  CONFIG_ENV,
  ...SETTING_NAMES.map(envName),
  ...FILE_NAMES.map((name) => `${envName(name)}_FILE`),
]);

/** As Markdown renderers make the anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

describe.each([...DOCS, 'SECURITY.md'])('%s', (name) => {
  const path = join(ROOT, name);
  const text = readFileSync(path, 'utf8');

  it('names settings that there are', () => {
    const flags = [...text.matchAll(/(?<=[`\s])--[a-z][a-z-]+/g)].map(([flag]) => flag);
    expect(flags.filter((flag) => !FLAGS.has(flag))).toEqual([]);
    const variables = [...text.matchAll(/\bHOLDFAST_[A-Z_]+/g)].map(([variable]) => variable);
    expect(variables.filter((variable) => !VARIABLES.has(variable))).toEqual([]);
  });

  it('has links that lead somewhere', () => {
    for (const [, link = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      expect([link, existsSync(target)]).toEqual([link, true]);
      if (anchor !== undefined) expect([link, anchorsOf(target).includes(anchor)]).toEqual([link, true]);
    }
  });
});
