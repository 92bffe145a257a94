/** What can be said of the manifests without kubectl, by the files as they are written. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { conflicts } from '../../src/config/conflicts.js';
import { loadConfig } from '../../src/config/load.js';
import { SECRETS } from '../support/gateway-process.js';
import { gatewayOf, type Kustomization, manifestFiles, OVERLAYS, podOf, ROOT, readManifests } from './manifests.js';

const FILES = manifestFiles();
const KUSTOMIZATIONS = FILES.filter((file) => file.endsWith('/kustomization.yaml'));

function kustomization(file: string): Kustomization {
  return readManifests(file)[0] as Kustomization;
}

function settings(file: string): Record<string, string> {
  const literals = kustomization(file).configMapGenerator?.flatMap((generator) => generator.literals) ?? [];
  return Object.fromEntries(literals.map((literal) => literal.split(/=(.*)/s, 2)));
}

/** What a kustomization names, as paths relative to k8s. */
function namedBy(file: string): string[] {
  const { resources = [], components = [], patches = [] } = kustomization(file);
  const paths = [...resources, ...components, ...patches.flatMap(({ path }) => path ?? [])];
  return paths.map((path) => {
    const full = join(dirname(file), path);
    return full.endsWith('.yaml') ? full : join(full, 'kustomization.yaml');
  });
}

it('has every overlay, and no file that nothing names', () => {
  expect(OVERLAYS).toEqual(['cluster', 'dev', 'gateway-api', 'ingress', 'monitoring', 'production', 'sentinel']);
  const reached = new Set(OVERLAYS.map((name) => `overlays/${name}/kustomization.yaml`));
  for (const file of reached)
    if (file.endsWith('kustomization.yaml')) for (const one of namedBy(file)) reached.add(one);
  expect([...reached].sort()).toEqual(FILES);
});

it.each(KUSTOMIZATIONS)('%s has settings that the program takes', (file) => {
  const env = { ...settings('base/kustomization.yaml'), ...settings(file), ...SECRETS };
  expect(conflicts(loadConfig({ env, flags: {} }).config, true)).toEqual([]);
});

it('leaves time to drain in the base', () => {
  const [deployment] = readManifests('base/deployment.yaml') as [IDeployment];
  const drainS = Number(settings('base/kustomization.yaml')['HOLDFAST_DRAIN_MS']) / 1_000;
  const sleepS = gatewayOf(deployment).lifecycle?.preStop?.sleep?.seconds ?? 0;
  expect(podOf(deployment).terminationGracePeriodSeconds).toBeGreaterThan(sleepS + drainS + 5);
  expect(deployment.spec?.minReadySeconds).toBeGreaterThanOrEqual(drainS);
});

it('pins every image', () => {
  const deployments = FILES.flatMap(readManifests).filter(
    (one): one is IDeployment => (one as IDeployment).kind === 'Deployment',
  );
  const images = deployments.flatMap((one) => podOf(one).containers.flatMap(({ image }) => image ?? []));
  const tags = KUSTOMIZATIONS.flatMap((file) => kustomization(file).images ?? []).map(({ newTag }) => newTag);
  expect(images.length + tags.length).toBeGreaterThan(2);
  for (const one of [...images, ...tags.map((tag) => `holdfast:${tag}`)])
    expect(one).toMatch(/^[^:@]+:(?!latest$)[\w.-]+$/);
});

it('has the Redis of docker-compose.yml', () => {
  const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
    services: { redis: { image: string } };
  };
  const [redis] = readManifests('overlays/dev/redis.yaml') as [IDeployment];
  expect(podOf(redis).containers.map(({ image }) => image)).toEqual([services.redis.image]);
});

/** The manifest is made of the rules: `npx vitest run test/deploy/k8s-files.test.ts -u` makes it anew. */
it('alerts by the rules of deploy/prometheus', async () => {
  const rules = join(ROOT, 'deploy/prometheus/rules.yml');
  expect(existsSync(rules)).toBe(true);
  const manifest = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'holdfast', labels: { 'app.kubernetes.io/name': 'holdfast' } },
    spec: parse(readFileSync(rules, 'utf8')) as unknown,
  };
  const text = `# Made of deploy/prometheus/rules.yml.\n${stringify(manifest, { lineWidth: 0 })}`;
  await expect(text).toMatchFileSnapshot(join(ROOT, 'k8s/components/monitoring/prometheus-rule.yaml'));
});
