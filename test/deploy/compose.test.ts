import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { conflicts } from '../../src/config/conflicts.js';
import { loadConfig } from '../../src/config/load.js';
import { noHaproxy, withHaproxy } from '../cluster/use-cluster.js';
import { checkHaproxyConfig, HAPROXY_CONFIG } from '../support/haproxy.js';
import { ROOT } from './manifests.js';
import { noPromtool, promtool, withPromtool } from './promtool.js';

interface Service {
  image?: string;
  build?: { context: string; dockerfile: string };
  command?: string | string[];
  env_file?: string;
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: string[];
  stop_grace_period?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
}

const BASE = 'docker-compose.yml';
const VARIANTS = ['deploy/sentinel/docker-compose.yml', 'deploy/cluster/docker-compose.yml'];
const GATEWAYS = ['gateway-1', 'gateway-2', 'gateway-3'];

function text(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function servicesOf(path: string): Record<string, Service> {
  return (parse(text(path), { merge: true }) as { services: Record<string, Service> }).services;
}

/** Compose as a program of its own or as docker's; undefined where there is neither. */
const compose = ['docker compose', 'docker-compose']
  .map((command) => command.split(' ') as [string, ...string[]])
  .find(([program, ...args]) => spawnSync(program, [...args, 'version']).status === 0);

const services = servicesOf(BASE);
const gateways = GATEWAYS.map((name) => services[name] ?? {});
const exampleEnv = Object.fromEntries(
  [...text('deploy/compose/example.env').matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
);

describe.each([BASE, ...VARIANTS])('%s', (file) => {
  const all = Object.entries(servicesOf(file));

  it('pins every image', () => {
    const images = all.flatMap(([, { image }]) => image ?? []);
    expect(images.length).toBeGreaterThan(2);
    for (const image of images) expect(image).toMatch(/^[a-z/-]+:v?\d+\.\d+[\w.-]*$/);
  });

  it('is reached from this machine alone', () => {
    for (const port of all.flatMap(([, { ports = [] }]) => ports)) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('mounts what there is, and for reading', () => {
    for (const volume of all.flatMap(([, { volumes = [] }]) => volumes)) {
      if (volume === 'redis:/data') continue;
      const [path = '', , mode] = volume.split(':');
      expect([volume, existsSync(join(ROOT, path)), mode]).toEqual([volume, true, 'ro']);
    }
  });

  it('gives the gateways settings that they take', () => {
    for (const name of GATEWAYS) {
      const env = { ...services[name]?.environment, ...servicesOf(file)[name]?.environment, ...exampleEnv };
      expect(env['HOLDFAST_CONFIG']).toBe('/etc/holdfast.json');
      const { config } = loadConfig({ env, file: join(ROOT, 'deploy/compose/holdfast.json'), flags: {} });
      expect(conflicts(config, true)).toEqual([]);
      expect(config.nodeId).toBe(name);
    }
  });

  it('gives no server of a Cluster the data of a server that is none', () => {
    for (const [, { command }] of all) {
      const line = [command].flat().join(' ');
      if (line.includes('--cluster-enabled')) expect(line).toContain('--dir /tmp');
    }
  });

  it('has a Redis with all that the gateway asks for', () => {
    const servers = all.filter(([name, { command }]) => name.startsWith('redis') && command !== undefined);
    expect(servers.length).toBeGreaterThan(0);
    for (const [, { command }] of servers) {
      expect([command].flat().join(' ')).toMatch(/--appendonly yes --maxmemory-policy noeviction/);
    }
  });
});

it.skipIf(compose === undefined).each(VARIANTS)('compose takes %s', (variant) => {
  const [program = '', ...args] = compose ?? [];
  const files = ['-f', BASE, '-f', variant];
  expect(() => execFileSync(program, [...args, ...files, 'config', '-q'], { cwd: ROOT, stdio: 'pipe' })).not.toThrow();
});

describe('the gateways', () => {
  it('are the image of this version, built here', () => {
    const { version } = JSON.parse(text('package.json')) as { version: string };
    expect(text('deploy/Dockerfile')).toContain(`ARG VERSION=${version}\n`);
    for (const { image, build } of [...gateways, services['page'] ?? {}]) {
      expect([image, build]).toEqual([`holdfast:${version}`, { context: '.', dockerfile: 'deploy/Dockerfile' }]);
    }
  });

  it('run with no right that they do not need', () => {
    for (const { read_only, cap_drop, security_opt } of [...gateways, services['page'] ?? {}]) {
      expect([read_only, cap_drop, security_opt]).toEqual([true, ['ALL'], ['no-new-privileges:true']]);
    }
  });

  it('have time to drain', () => {
    const { drainMs } = loadConfig({ env: {}, flags: {} }).config;
    for (const { stop_grace_period } of gateways) {
      expect(Number.parseInt(stop_grace_period ?? '', 10) * 1_000).toBeGreaterThan(drainMs + 5_000);
    }
  });

  it('have example secrets that say what they are', () => {
    const { HOLDFAST_ALLOW_EXAMPLE_SECRETS: allowed, ...secrets } = exampleEnv;
    expect(allowed).toBe('true');
    expect(Object.keys(secrets)).toEqual(['HOLDFAST_SECRET', 'HOLDFAST_API_KEY', 'HOLDFAST_ADMIN_KEY']);
    for (const value of Object.values(secrets)) expect(value).toMatch(/^not-a-secret-.*only-for-trying-out/);
  });
});

describe('deploy/compose/haproxy.cfg', () => {
  const FILE = 'deploy/compose/haproxy.cfg';

  it.skipIf(noHaproxy)(withHaproxy('is valid without a warning'), async () => {
    expect(await checkHaproxyConfig(join(ROOT, FILE))).not.toMatch(/WARNING|ALERT/);
  });

  it('is the one that users deploy, with other addresses', () => {
    const lines = (path: string) =>
      new Set(
        readFileSync(path, 'utf8')
          .split('\n')
          .filter((line) => !/^\s*(#|$)/.test(line)),
      );
    const here = lines(join(ROOT, FILE));
    const missing = [...lines(HAPROXY_CONFIG)].filter((line) => !here.has(line));
    expect(missing).toEqual([
      '  default-server check port 9090 inter 1s fall 2 rise 1',
      '  server n1 10.0.0.11:8080',
      '  server n2 10.0.0.12:8080',
      '  server n3 10.0.0.13:8080',
    ]);
    expect([...here].filter((line) => line.startsWith('  server gateway'))).toEqual(
      GATEWAYS.map((name) => `  server ${name} ${name}:8080`),
    );
  });
});

describe('Prometheus and Grafana', () => {
  it.skipIf(noPromtool)(withPromtool('Prometheus takes its configuration'), () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-compose-'));
    try {
      for (const name of ['compose/prometheus.yml', 'prometheus/rules.yml']) {
        writeFileSync(join(folder, name.split('/')[1] ?? ''), text(`deploy/${name}`));
      }
      expect(promtool('check', 'config', join(folder, 'prometheus.yml'))).toBe('');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('scrape every gateway under the name that the alerts ask for', () => {
    const { scrape_configs: jobs } = parse(text('deploy/compose/prometheus.yml')) as {
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    expect(jobs.map(({ job_name }) => job_name)).toEqual(['holdfast']);
    expect(jobs[0]?.static_configs[0]?.targets).toEqual(GATEWAYS.map((name) => `${name}:9090`));
    expect(text('deploy/prometheus/rules.yml')).toContain('up{job="holdfast"}');
  });

  it('show the dashboard', () => {
    const { volumes = [], environment = {} } = services['grafana'] ?? {};
    const dashboards = '/var/lib/grafana/dashboards';
    expect(volumes).toContain(`./deploy/grafana:${dashboards}:ro`);
    expect(environment['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']).toBe(`${dashboards}/holdfast.json`);
    expect(existsSync(join(ROOT, 'deploy/grafana/holdfast.json'))).toBe(true);
    const provisioning = 'deploy/compose/grafana/provisioning';
    const { providers } = parse(text(`${provisioning}/dashboards/holdfast.yml`)) as {
      providers: { options: { path: string } }[];
    };
    expect(providers[0]?.options.path).toBe(dashboards);
    const { datasources } = parse(text(`${provisioning}/datasources/prometheus.yml`)) as {
      datasources: { type: string; url: string; isDefault: boolean }[];
    };
    expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }]);
  });
});

describe('the image', () => {
  const lines = text('deploy/Dockerfile').split('\n');

  it('is made of what .dockerignore lets through, and that is there', () => {
    const [first, ...letIn] = text('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    for (const line of letIn) {
      expect(line).toMatch(/^![\w.-]+$/);
      expect(existsSync(join(ROOT, line.slice(1)))).toBe(true);
    }
  });

  it('has what was built, the dependencies of production, and nothing else', () => {
    const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
    expect(last.filter((line) => /^(COPY|ADD|RUN)/.test(line))).toEqual([
      'COPY LICENSE package.json ./',
      'COPY --from=dependencies /app/node_modules node_modules',
      'COPY --from=build /app/dist dist',
    ]);
    expect(lines).toContain('RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund');
    expect(last).toContain('USER 10001:10001');
    expect(last).toContain('STOPSIGNAL SIGTERM');
    expect(last).toContain('CMD ["serve"]');
  });
});
