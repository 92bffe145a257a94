import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CodeBlock, codeBlocks, pathOf } from './markdown.js';

const DOCS = [
  'README.md',
  'src/client/README.md',
  'docs/client.md',
  'docs/login.md',
  'docs/messages.md',
  'docs/react.md',
  'docs/from-socket-io.md',
  'docs/from-centrifugo.md',
];
/** What the code leaves to the reader. */
const GLOBALS = `
declare const client: import('holdfast-client').Client;
declare const session: import('holdfast-client').Session;
declare const login: import('holdfast-client/login').LoginClient;
declare const backend: import('holdfast/server').Backend;
declare const app: import('express').Express;
declare const login_code: string, prompt: string, principal: string, loginId: string;
declare const change: unknown, tokens: any, model: any, keyChain: any;
declare function getToken(): Promise<string>;
declare function show(...values: unknown[]): void;
declare function stop(error: unknown): void;
declare function isMember(...values: unknown[]): Promise<boolean>;
declare function isAllowed(...values: unknown[]): boolean;
declare function endRun(...values: unknown[]): Promise<void>;
declare const hide: () => void, clear: () => void, load: () => void, showForm: () => void;
declare const apply: (data: unknown) => void;
`;
/** As users have it: what is built, and no strictness beyond that of JavaScript. */
const OPTIONS = {
  target: 'es2022',
  module: 'esnext',
  moduleResolution: 'bundler',
  lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable'],
  types: ['node'],
  strict: false,
  noEmit: true,
  skipLibCheck: true,
  moduleDetection: 'force',
  jsx: 'react-jsx',
  paths: {
    'holdfast-client': [pathOf('dist/client/index.d.ts')],
    'holdfast-client/*': [pathOf('dist/client/*/index.d.ts'), pathOf('dist/*/index.d.ts')],
    'holdfast/client': [pathOf('dist/client/index.d.ts')],
    'holdfast/client/login': [pathOf('dist/client/login/index.d.ts')],
    'holdfast/server': [pathOf('dist/server/index.d.ts')],
  },
};

const isOurs = ({ language, code }: CodeBlock) =>
  /^[jt]sx?$/.test(language) && /holdfast|\b(session|client|login)\./.test(code);

describe('the code in the documents', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-docs-'));
    symlinkSync(pathOf('node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'globals.d.ts'), GLOBALS);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS }));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('fits the packages', async () => {
    for (const doc of DOCS) {
      const blocks = codeBlocks(doc).filter(isOurs);
      expect(blocks.length, `code in ${doc}`).toBeGreaterThan(0);
      // The lines of the document, so that an error names the place.
      for (const { code, line, language } of blocks) {
        const name = `${doc.replaceAll('/', '.')}.${line}.${language.replace('js', 'ts')}`;
        writeFileSync(join(folder, name), `${'\n'.repeat(line - 1)}${code}`);
      }
    }
    const tsc = pathOf('node_modules/typescript/bin/tsc');
    const found = await new Promise<string>((done) => {
      execFile(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder }, (_error, stdout, stderr) =>
        done(stdout + stderr),
      );
    });
    expect(found).toBe('');
  });
});
