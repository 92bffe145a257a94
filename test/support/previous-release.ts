import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);

const ROOT = resolve(import.meta.dirname, '../..');
const PINNED = new URL('../cluster/previous-release.txt', import.meta.url);
const CACHE = join(ROOT, 'node_modules/.cache/previous-release');

/** The release before this one, built. */
export interface PreviousRelease {
  /** As its package.json says, with the commit behind a `+`. */
  version: string;
  /** What `node` runs. */
  main: string;
  /** The URL of a module of it, such as `client/index.js`. */
  module(path: string): string;
}

/**
 * Builds the release that nodes of this version run beside during a rolling upgrade: `HOLDFAST_PREVIOUS`, else the newest
 * tag before this version, else the commit in test/cluster/previous-release.txt. It runs with this version's dependencies.
 * @returns why it cannot be had, as text
 * @throws Error where it must be had: in CI, or when `HOLDFAST_PREVIOUS` names no commit
 */
export async function previousRelease(): Promise<PreviousRelease | string> {
  const ref = await previousRef();
  const commit = await git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`).catch(() => undefined);
  if (commit !== undefined) return built(commit);
  const why = `no commit ${ref} here: git fetch --unshallow --tags`;
  if (process.env['CI'] === 'true' || process.env['HOLDFAST_PREVIOUS'] !== undefined) throw new Error(why);
  return why;
}

async function git(...args: string[]): Promise<string> {
  return (await run('git', ['-C', ROOT, ...args])).stdout.trim();
}

async function versionIn(folder: string): Promise<string> {
  return (JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}

async function previousRef(): Promise<string> {
  const { HOLDFAST_PREVIOUS: wanted } = process.env;
  if (wanted !== undefined) return wanted;
  const present = `v${await versionIn(ROOT)}`;
  const tags = await git('tag', '--merged', 'HEAD', '--list', 'v*', '--sort=-v:refname').catch(() => '');
  const newest = tags.split('\n').find((tag) => tag !== '' && tag !== present);
  return newest ?? (await readFile(PINNED, 'utf8')).trim();
}

/** Only types are taken off: that its types are right was checked when it was released. */
async function built(commit: string): Promise<PreviousRelease> {
  const folder = join(CACHE, commit);
  const dist = join(folder, 'dist');
  const release = async () => ({
    version: await versionIn(folder),
    main: join(dist, 'main.js'),
    module: (path: string) => pathToFileURL(join(dist, path)).href,
  });
  try {
    return await release();
  } catch {
    // Not built yet.
  }
  await mkdir(CACHE, { recursive: true });
  const made = await mkdtemp(join(CACHE, 'making-'));
  try {
    await make(commit, made);
    // Another process may have been faster.
    await rename(made, folder).catch(() => {});
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return release();
}

async function make(commit: string, folder: string): Promise<void> {
  const archive = join(folder, 'source.tar');
  await git('archive', '--output', archive, commit, 'src', 'package.json');
  await run('tar', ['-xf', archive, '-C', folder]);
  await rm(archive);
  const src = join(folder, 'src');
  const files = (await readdir(src, { recursive: true })).filter((name) => /\.tsx?$/.test(name));
  await cp(src, join(folder, 'dist'), { recursive: true, filter: (path) => !/\.tsx?$/.test(path) });
  await build({
    entryPoints: files.map((name) => join(src, name)),
    outdir: join(folder, 'dist'),
    outbase: src,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    logLevel: 'error',
  });
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  manifest.version += `+${commit.slice(0, 7)}`;
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
}
