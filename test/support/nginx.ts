import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { endChild, isRunning, spawnTied } from './child-process.js';
import { freePorts } from './ports.js';
import { ensureInstalled, findOnPath } from './redis-binary.js';
import { eventually } from './redis-process.js';

const run = promisify(execFile);

/** What users deploy. What is started here is this very file with other addresses in it. */
export const NGINX_CONFIG = fileURLToPath(new URL('../../deploy/nginx/nginx.conf', import.meta.url));

const NGINX_HELP = 'nginx 1.15.1 or later is missing (on Debian: apt-get install nginx)';

/**
 * Installs nginx as root on Debian.
 * @returns why tests that need it must be skipped; undefined where it is there
 * @throws Error under CI, where nothing may be skipped
 */
export async function missingNginx(): Promise<string | undefined> {
  if (await ensureInstalled('nginx')) return undefined;
  if (process.env['CI'] === 'true') throw new Error(NGINX_HELP);
  return NGINX_HELP;
}

/** The deployed configuration with the address to listen on and the nodes replaced. */
export async function nginxConfig(port: number, nodePorts: readonly number[]): Promise<string> {
  const lines = (await readFile(NGINX_CONFIG, 'utf8')).split('\n');
  const isServer = (line: string) => /^\s*server \d/.test(line);
  const first = lines.findIndex(isServer);
  const servers = nodePorts.map((nodePort) => `    server 127.0.0.1:${nodePort} max_fails=3 fail_timeout=5s;`);
  const others = lines.map((line) => line.replace(/^(\s*listen )\d+/, `$1127.0.0.1:${port}`));
  return [...others.slice(0, first), ...servers, ...others.slice(first).filter((line) => !isServer(line))].join('\n');
}

/** Of a run in a folder of its own: everything that nginx would else put into system folders. */
function flags(folder: string, file: string): string[] {
  return ['-p', folder, '-c', file, '-e', join(folder, 'error.log'), '-g', `pid ${folder}/nginx.pid; daemon off;`];
}

async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-nginx-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `nginx -t`. @returns what it said @throws when the file is not valid */
export function checkNginxConfig(text: string): Promise<string> {
  return withFolder(async (folder) => {
    const file = join(folder, 'nginx.conf');
    await writeFile(file, text);
    const { stdout, stderr } = await run(findOnPath('nginx') ?? 'nginx', ['-t', ...flags(folder, file)]);
    return stdout + stderr;
  });
}

export interface Nginx {
  /** Where clients connect. */
  readonly connectUrl: string;
  stop(): Promise<void>;
}

/** Starts the deployed configuration in front of these nodes. Ends with this process. */
export async function startNginx(nodePorts: readonly number[]): Promise<Nginx> {
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-nginx-'));
  const file = join(folder, 'nginx.conf');
  await writeFile(file, (await nginxConfig(port, nodePorts)).replace('http {', 'http {\n  access_log off;'));
  const child = spawnTied([findOnPath('nginx') ?? 'nginx', ...flags(folder, file)], { stdio: 'ignore' });
  const stop = async () => {
    await endChild(child, 'SIGTERM', 2_000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually('nginx', async () => {
      if (!isRunning(child)) return false;
      const url = `http://127.0.0.1:${port}/v1/connect`;
      return (await fetch(url, { signal: AbortSignal.timeout(1_000) })).status < 500;
    });
  } catch (error) {
    const said = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`${(error as Error).message}\n${said}`, { cause: error });
  }
  return { connectUrl: `ws://127.0.0.1:${port}/v1/connect`, stop };
}
