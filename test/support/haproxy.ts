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
export const HAPROXY_CONFIG = fileURLToPath(new URL('../../deploy/haproxy/haproxy.cfg', import.meta.url));

export const HAPROXY_HELP = 'HAProxy 2.4 or later is missing (on Debian: apt-get install haproxy)';

export interface Backend {
  name: string;
  port: number;
  internalPort: number;
}

export interface Haproxy {
  readonly port: number;
  readonly pid: number;
  /** Where clients connect. */
  readonly connectUrl: string;
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Installs HAProxy as root on Debian.
 * @returns why tests that need it must be skipped; undefined where it is there
 * @throws Error under CI, where nothing may be skipped
 */
export async function missingHaproxy(): Promise<string | undefined> {
  if (await ensureInstalled('haproxy')) return undefined;
  if (process.env['CI'] === 'true') throw new Error(HAPROXY_HELP);
  return HAPROXY_HELP;
}

/**
 * The deployed configuration with the address to listen on and the nodes replaced.
 * @param pagePort who listens there gets all requests that are no gateway's
 */
export async function haproxyConfig(port: number, backends: readonly Backend[], pagePort?: number): Promise<string> {
  const deployed = (await readFile(HAPROXY_CONFIG, 'utf8')).split('\n');
  const isServer = (line: string) => /^\s*server /.test(line);
  const at = deployed.findIndex(isServer);
  const servers = backends.map(
    ({ name, port: nodePort, internalPort }) => `  server ${name} 127.0.0.1:${nodePort} check port ${internalPort}`,
  );
  const lines = deployed.map((line) => (/^\s*bind /.test(line) ? `  bind 127.0.0.1:${port}` : line));
  const config = [...lines.slice(0, at), ...servers, ...lines.slice(at).filter((line) => !isServer(line))].join('\n');
  if (pagePort === undefined) return config;
  const rule = 'use_backend page if !{ path_beg /v1/ /.well-known/ /holdfast.js }';
  const page = `backend page\n  server page 127.0.0.1:${pagePort}\n`;
  return `${config.replace('  default_backend nodes', (line) => `  ${rule}\n${line}`)}\n${page}`;
}

/** `haproxy -c`. @returns what it said @throws when the file is not valid */
export async function checkHaproxyConfig(path: string): Promise<string> {
  const { stdout, stderr } = await run(findOnPath('haproxy') ?? 'haproxy', ['-c', '-f', path]);
  return stdout + stderr;
}

/** Starts the deployed configuration in front of these nodes. Ends with this process. */
export async function startHaproxy(
  backends: readonly Backend[],
  options: { port?: number | undefined; pagePort?: number | undefined } = {},
): Promise<Haproxy> {
  const port = options.port ?? (await freePorts(1))[0] ?? 0;
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, await haproxyConfig(port, backends, options.pagePort));
  // -db: one process in the foreground, so that its pid is the one that counts.
  const command = [findOnPath('haproxy') ?? 'haproxy', '-db', '-f', file];
  const child = spawnTied(command, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output.push(chunk.toString());
      if (output.length > 100) output.shift();
    });
  }
  const stop = async () => {
    await endChild(child, 'SIGTERM', 2_000);
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually('HAProxy', async () => {
      if (!isRunning(child)) return false;
      // Whatever a node answers to this, it was asked.
      return (await fetch(`${url}/v1/connect`, { signal: AbortSignal.timeout(1_000) })).status < 500;
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${output.join('')}`, { cause: error });
  }
  return { port, pid: child.pid ?? 0, url, connectUrl: `ws://127.0.0.1:${port}/v1/connect`, stop };
}
