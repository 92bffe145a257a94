/**
 * Builds both packages into dist: `npm run build`. A second build that runs at the same time waits for the first.
 * Prints the compiler's errors, or one line.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { bundleClient } from './bundle.js';
import { withLock } from './lock.js';

const ROOT = resolve(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');
const CLIENT_ENTRIES = ['client/index', 'client/login/index', 'client/react/index', 'testing/index'];
const CLIENT_PACKAGE = join(DIST, 'packages/holdfast-client');
const STATIC = /\.(lua|html|css|svg)$/;
const COMPILED = /\.(js|d\.ts)$/;
/** Beside what is compiled: what esbuild makes of the client for pages without a build. */
const BUNDLE = 'client/holdfast.js';

class CompileError extends Error {}

/** Paths of the files below `folder`, relative to it. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

async function compile(project: string): Promise<void> {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await new Promise<void>((done, failed) => {
    execFile(process.execPath, [tsc, '-p', project], { cwd: ROOT, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) done();
      else failed(new CompileError(stdout + stderr));
    });
  });
}

/** Leaves a file alone that already says the same, so that nothing that watches it wakes up. */
async function put(path: string, content: string | Buffer): Promise<void> {
  const wanted = Buffer.from(content);
  const there = await readFile(path).catch(() => undefined);
  if (there?.equals(wanted)) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, wanted);
}

/** Outputs whose source is gone would otherwise be published. */
async function prune(sources: ReadonlySet<string>): Promise<void> {
  for (const file of await filesBelow(DIST)) {
    if (file.startsWith('packages/') || file.endsWith('.tsbuildinfo')) continue;
    const [source, ...others] = COMPILED.test(file)
      ? [file.replace(COMPILED, '.ts'), file.replace(COMPILED, '.tsx')]
      : [file];
    if (![source, ...others].some((name) => sources.has(name)) && file !== BUNDLE) await rm(join(DIST, file));
  }
}

/** The compiled files that `entry` needs, itself included, with their types. Relative to dist. */
async function closure(entry: string): Promise<Set<string>> {
  const found = new Set([entry]);
  for (const file of found) {
    const text = await readFile(join(DIST, file), 'utf8');
    for (const [, specifier = ''] of text.matchAll(/(?:from|import)\s*\(?'(\.{1,2}\/[^']+)'/g)) {
      const script = join(dirname(file), specifier);
      found.add(script).add(script.replace(/\.js$/, '.d.ts'));
    }
  }
  return found;
}

async function assembleClientPackage(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const manifest = JSON.parse(await readFile(join(SRC, 'client/package.json'), 'utf8')) as object;
  const files = new Map<string, string | Buffer>([
    ['package.json', `${JSON.stringify({ ...manifest, version }, undefined, 2)}\n`],
    ['README.md', await readFile(join(SRC, 'client/README.md'))],
    ['LICENSE', await readFile(join(ROOT, 'LICENSE'))],
    [BUNDLE, await readFile(join(DIST, BUNDLE))],
  ]);
  for (const entry of CLIENT_ENTRIES) {
    for (const file of [...(await closure(`${entry}.js`)), ...(await closure(`${entry}.d.ts`))]) {
      files.set(file, await readFile(join(DIST, file)));
    }
  }
  await mkdir(CLIENT_PACKAGE, { recursive: true });
  for (const file of await filesBelow(CLIENT_PACKAGE)) if (!files.has(file)) await rm(join(CLIENT_PACKAGE, file));
  for (const [file, content] of files) await put(join(CLIENT_PACKAGE, file), content);
}

/** The compiler remembers what it wrote, not what somebody deleted since. */
async function forgetIfIncomplete(sources: readonly string[]): Promise<void> {
  const complete = sources.every(
    (file) => !/\.tsx?$/.test(file) || existsSync(join(DIST, file.replace(/tsx?$/, 'js'))),
  );
  if (complete) return;
  for (const name of ['node', 'browser']) await rm(join(DIST, `${name}.tsbuildinfo`), { force: true });
}

async function build(): Promise<void> {
  const sources = await filesBelow(SRC);
  if (existsSync(DIST)) await prune(new Set(sources));
  await forgetIfIncomplete(sources);
  const compiled = await Promise.allSettled(['tsconfig.build.json', 'tsconfig.browser.json'].map(compile));
  const errors = compiled.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (errors.length > 0) throw new CompileError(errors.map(({ message }) => message).join(''));
  for (const file of sources) if (STATIC.test(file)) await put(join(DIST, file), await readFile(join(SRC, file)));
  chmodSync(join(DIST, 'main.js'), 0o755);
  await put(join(DIST, BUNDLE), await bundleClient('iife'));
  await assembleClientPackage();
}

const startedMs = performance.now();
try {
  await withLock(join(ROOT, 'node_modules/.cache/holdfast-build'), build);
  process.stdout.write(`Built dist in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s\n`);
} catch (error) {
  process.stderr.write(error instanceof CompileError ? error.message : `${(error as Error).stack}\n`);
  process.exitCode = 1;
}
