/**
 * All static checks: `npm run check`, with `--packages` also of the packages as they would be published. They run side
 * by side; each prints one line, and its findings where it has any.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { clientSize } from './bundle.js';
import { layoutProblems } from './layout.js';

const ROOT = resolve(import.meta.dirname, '..');
/** What pages load of the client, whole, with the most bytes that it may have, minified and compressed with brotli. */
const CLIENT_BUDGETS = [
  { entries: ['.'], maxBytes: 10_000 },
  { entries: ['.', './login'], maxBytes: 12_000 },
] as const;
/** For script elements, so that nobody imports them. */
const SCRIPTS = ['./holdfast.js'];
const PACKAGES = ['.', 'dist/packages/holdfast-client'];

/** redocly asks for a newer version of itself otherwise. */
const OFFLINE = { REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

interface Result {
  ok: boolean;
  output: string;
  /** Worth a word where all is well, too. */
  note?: string;
}

type Check = () => Promise<Result>;

/** Runs a program of a dev dependency. */
function program(name: string, ...args: string[]): Promise<Result> {
  return new Promise((done) => {
    const child = spawn(join(ROOT, 'node_modules/.bin', name), args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...OFFLINE, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }) },
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => done({ ok: false, output: error.message }));
    child.on('close', (code) => done({ ok: code === 0, output }));
  });
}

/** Packs as npm would publish and looks at the tarball, from outside of the repository's own resolution. */
async function packed(tool: 'publint' | 'attw', folder: string): Promise<Result> {
  const place = mkdtempSync(join(tmpdir(), 'holdfast-pack-'));
  try {
    const pack = await npmPack(folder, place);
    if (!pack.ok) return pack;
    const tarball = join(place, pack.output);
    return tool === 'publint'
      ? await program('publint', 'run', tarball, '--strict')
      : await program('attw', tarball, '--profile', 'esm-only', '--no-emoji', '--exclude-entrypoints', ...SCRIPTS);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function npmPack(folder: string, place: string): Promise<Result> {
  return new Promise((done) => {
    const args = ['pack', resolve(ROOT, folder), '--ignore-scripts', '--silent', '--pack-destination', place];
    const child = spawn('npm', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('close', (code) => done({ ok: code === 0, output: output.trim() }));
  });
}

async function run(name: string, check: Check): Promise<boolean> {
  const startedMs = performance.now();
  const { ok, output, note } = await check();
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(
    `${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(28)} ${seconds.padStart(5)} s${ok && note !== undefined ? `  ${note}` : ''}\n`,
  );
  if (!ok) process.stdout.write(`${output.trimEnd()}\n\n`);
  return ok;
}

const checks: Record<string, Check> = {
  'types: node, tests, scripts': () => program('tsc', '-p', 'tsconfig.json'),
  'types: client and page': () => program('tsc', '-p', 'tsconfig.browser.json', '--noEmit', '--incremental', 'false'),
  'types: tests of the client': () => program('tsc', '-p', 'tsconfig.client-test.json'),
  lint: () => program('oxlint', '--type-aware', '--quiet'),
  'format and import order': () => program('biome', 'check', '--error-on-warnings', '.'),
  'unused files and exports': () => program('knip', '--no-progress'),
  'HTTP API': () => program('redocly', 'lint', 'openapi.yaml'),
  'size of the client': async () => {
    const sizes = CLIENT_BUDGETS.map(async ({ entries, maxBytes }) => {
      const { brotli, gzip } = await clientSize(entries);
      return { ok: brotli <= maxBytes, note: `${entries.join(' + ')} ${brotli} of ${maxBytes} bytes (gzip ${gzip})` };
    });
    const results = await Promise.all(sizes);
    const note = results.map((result) => result.note).join('; ');
    return { ok: results.every(({ ok }) => ok), output: note, note };
  },
  layout: async () => {
    const problems = layoutProblems(ROOT);
    return { ok: problems.length === 0, output: problems.join('\n') };
  },
};

if (process.argv.includes('--packages')) {
  for (const folder of PACKAGES) {
    for (const tool of ['publint', 'attw'] as const) checks[`${tool}: ${folder}`] = () => packed(tool, folder);
  }
}

const results = await Promise.all(Object.entries(checks).map(([name, check]) => run(name, check)));
process.exitCode = results.every(Boolean) ? 0 : 1;
