import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { codeLines, type ImportRules, importsOf, layoutProblems, readRules, violation } from '../../scripts/layout.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const rules: ImportRules = readRules(`
| folder | may import |
|---|---|
| lib | nothing |
| session, login | lib |
| store | session/ports, lib |
| . | anything |

| npm package | only in |
|---|---|
| ioredis | store/redis |
| zod | . |
`);

function problem(file: string, statement: string): string | undefined {
  const [found] = importsOf(file, statement);
  if (found === undefined) throw new Error(`no import found in ${statement}`);
  return violation(found, rules);
}

describe('the repository', () => {
  it('keeps to its import tables, its file length and to finished work', () => {
    expect(layoutProblems(ROOT)).toEqual([]);
  });
});

describe('the import table', () => {
  it.each([
    ['session/a.ts', "import { b } from './b.js';"],
    ['login/a.ts', "import type { x } from '../lib/x.js';"],
    ['store/redis/a.ts', "import type {\n  x,\n} from '../../session/ports.js';"],
    ['store/redis/a.ts', "import { Redis } from 'ioredis';"],
    ['store/redis/a.ts', "import { join } from 'node:path';"],
    ['main.ts', "import { a } from './store/redis/a.js';"],
    ['main.ts', "const { z } = await import('zod');"],
  ])('allows %s: %s', (file, statement) => {
    expect(problem(file, statement)).toBeUndefined();
  });

  it.each([
    ['lib/a.ts', "import { b } from '../session/b.js';", 'lib may import nothing'],
    ['session/a.ts', "export { b } from '../login/b.js';", 'session may import lib'],
    ['store/memory/a.ts', "import {\n  x,\n} from '../../session/sessions.js';", 'store may import session/ports, lib'],
    ['store/memory/a.ts', "const x = await import('../../main.js');", 'imports main.ts'],
    ['store/memory/a.ts', "import { Redis } from 'ioredis';", 'only store/redis may use'],
    ['store/memory/a.ts', "import { Redis } from 'ioredis/built/x.js';", 'only store/redis may use'],
    ['session/a.ts', "import 'left-pad';", 'left-pad is not in the table'],
    ['lib/a.ts', "import { join } from 'node:path';", 'browsers do not have'],
    ['lib/a.ts', "import { join } from 'path';", 'browsers do not have'],
    ['attic/a.ts', "import './b.js';", 'attic is not in the import table'],
  ])('refuses %s: %s', (file, statement, reason) => {
    expect(problem(file, statement)).toContain(reason);
  });

  it('must be there', () => {
    expect(() => readRules('# Architecture')).toThrow('no table');
  });
});

it('counts lines of code and not comments', () => {
  expect(codeLines('/** Says what.\n * And why.\n */\nconst a = 1; // one\n\n// no\nconst b = 2;\n')).toBe(2);
});
