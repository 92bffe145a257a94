import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { expect, it } from 'vitest';
import { reactExample } from './react-example.js';

it('the example with React and Vite builds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-react-'));
  try {
    await build(reactExample(folder));
    expect(await readFile(join(folder, 'dist/index.html'), 'utf8')).toContain('<script type="module"');
    expect(await readdir(join(folder, 'dist/assets'))).toEqual([expect.stringMatching(/^index-.*\.js$/)]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
