import { compileFunction } from 'node:vm';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { bundleClient } from '../../scripts/bundle.js';
import * as client from '../../src/client/index.js';
import * as login from '../../src/client/login/index.js';

const SRC = new URL('../../src/', import.meta.url).pathname;

/** The files that a module loads, itself included; types alone load nothing. */
async function loadedBy(entry: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [SRC + entry],
    absWorkingDir: SRC,
    bundle: true,
    write: false,
    metafile: true,
    external: ['react'],
    format: 'esm',
    outdir: 'nowhere',
  });
  return Object.keys(metafile.inputs);
}

it.each(['client/index.ts', 'client/react/index.ts'])('%s loads nothing of the logins', async (entry) => {
  const loaded = await loadedBy(entry);
  expect(loaded).toContain(entry);
  expect(loaded.filter((file) => file.startsWith('client/login/'))).toEqual([]);
});

it('the logins load nothing of connections and sessions', async () => {
  const loaded = await loadedBy('client/login/index.ts');
  expect(loaded).toContain('client/login/login.ts');
  expect(loaded.filter((file) => /^client\/(client|connection|session)/.test(file))).toEqual([]);
});

it('the script for pages without a build has all of both', async () => {
  const script = (await bundleClient('iife')).toString();
  const global = compileFunction(`${script}; return Holdfast;`)() as object;
  expect(Object.keys(global).sort()).toEqual(Object.keys({ ...client, ...login }).sort());
});
