import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../../test/support/redis-process.js';
import type { Deployment, Tell } from './deployment.js';

const run = promisify(execFile);

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Not the name that the folder would give, so that a deployment that somebody tries out stays untouched. */
const PROJECT = 'holdfast-rollout';
const GATEWAYS = ['gateway-1', 'gateway-2', 'gateway-3'];
const SERVICES = ['redis', ...GATEWAYS, 'page', 'haproxy'];
/** The default, which `docker-compose.yml` leaves as it is. */
const DRAIN_MS = 25_000;
const READY_MS = 60_000;
const STATISTICS = 'http://127.0.0.1:8404/;csv';

type Compose = (...args: string[]) => Promise<string>;

/** @throws Error when there is neither `docker compose` nor `docker-compose` */
async function findCompose(): Promise<Compose> {
  for (const [program = '', ...first] of [['docker', 'compose'], ['docker-compose']]) {
    const works = await run(program, [...first, 'version']).then(
      () => true,
      () => false,
    );
    if (!works) continue;
    return async (...args) => (await run(program, [...first, '-p', PROJECT, ...args], { cwd: ROOT })).stdout;
  }
  throw new Error('neither `docker compose` nor `docker-compose` is there');
}

/** Whether HAProxy gives these nodes connections. */
async function areUp(names: readonly string[]): Promise<boolean> {
  const text = await (await fetch(STATISTICS, { signal: AbortSignal.timeout(1_000) })).text();
  // nodes,gateway-1,…,UP,…
  return names.every((name) => new RegExp(`^nodes,${name},.*,UP,`, 'm').test(text));
}

async function exitCode(service: string): Promise<string> {
  const labels = [`project=${PROJECT}`, `service=${service}`].flatMap((it) => ['-f', `label=com.docker.compose.${it}`]);
  const { stdout: id } = await run('docker', ['ps', '-aq', ...labels]);
  const { stdout: code } = await run('docker', ['inspect', '-f', '{{.State.ExitCode}}', id.trim()]);
  return code.trim();
}

/** What `docker-compose.yml` describes, but for Prometheus and Grafana. */
export async function startCompose(tell: Tell): Promise<Deployment> {
  const compose = await findCompose();
  const untilUp = (names: readonly string[]) => eventually(names.join(', '), () => areUp(names), READY_MS);
  const stop = async () => {
    await compose('down', '--volumes', '--timeout', '1');
  };
  tell(`docker compose up ${SERVICES.join(' ')}`);
  try {
    await compose('up', '-d', ...SERVICES);
    await untilUp(GATEWAYS);
  } catch (error) {
    const logs = await compose('logs', '--tail=3', ...GATEWAYS).catch(() => '');
    await stop().catch(() => {});
    throw new Error(`${(error as Error).message}\n${logs}`, { cause: error });
  }
  const nodes = GATEWAYS.map((name) => ({
    name,
    async end(signal: 'SIGTERM' | 'SIGKILL') {
      if (signal === 'SIGKILL') {
        await compose('kill', name);
        return undefined;
      }
      await compose('stop', name);
      const code = await exitCode(name);
      return code === '0' ? undefined : `ended with exit code ${code} after SIGTERM`;
    },
    async start() {
      await compose('start', name);
      await untilUp([name]);
    },
  }));
  return { connectUrl: 'ws://127.0.0.1:8080/v1/connect', nodes, drainMs: DRAIN_MS, stop };
}
