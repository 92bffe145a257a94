/** The manifests as Kubernetes gets them: well-typed, within their time budget, and of one mind with the program. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IHTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IIngress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IService } from 'kubernetes-models/v1/Service';
import { beforeAll, describe, expect, it } from 'vitest';
import { conflicts } from '../../src/config/conflicts.js';
import { loadConfig } from '../../src/config/load.js';
import { Metrics } from '../../src/ops/metrics.js';
import { SECRETS, startGateway } from '../support/gateway-process.js';
import { testRedis } from '../support/redis.js';
import { typeErrors } from './kubernetes-types.js';
import {
  environmentOf,
  gatewayOf,
  type Manifest,
  missingKubectl,
  named,
  OVERLAYS,
  ofKind,
  podOf,
  ROOT,
  render,
} from './manifests.js';

const FOLDERS = ['base', ...OVERLAYS.map((name) => `overlays/${name}`)];
const PRODUCT = { 'app.kubernetes.io/name': 'holdfast' };
/** What the pod needs between the end of its drain and its exit, in seconds. */
const CLOSE_MARGIN_S = 5;
/** What belongs to no namespace. */
const CLUSTER_WIDE = new Set(['Namespace']);

const missing = missingKubectl();
const rendered = new Map<string, Manifest[]>();
const manifestsOf = (folder: string): Manifest[] => rendered.get(folder) ?? [];
const deploymentOf = (folder: string) => named<IDeployment>(manifestsOf(folder), 'Deployment', 'holdfast');
const configOf = (folder: string) =>
  loadConfig({ env: { ...environmentOf(manifestsOf(folder)), ...SECRETS }, flags: {} }).config;

describe.skipIf(missing !== undefined)(`rendered manifests${missing === undefined ? '' : ` (${missing})`}`, () => {
  beforeAll(async () => {
    await Promise.all(FOLDERS.map(async (folder) => rendered.set(folder, await render(join(ROOT, 'k8s', folder)))));
  });

  it('have the types of the Kubernetes API', async () => {
    expect(await typeErrors(rendered)).toBe('');
  }, 60_000);

  it('ask for what the program serves', async () => {
    const env = environmentOf(manifestsOf('base'));
    const { url, prefix } = testRedis();
    const auth = ['--auth', env['HOLDFAST_AUTH'] ?? '', '--access', 'rules'];
    const gateway = await startGateway({
      nodeId: 'holdfast-0',
      redisUrl: url,
      redisPrefix: prefix,
      graceMs: 30_000,
      env,
      args: [...auth, '--internal-host', '127.0.0.1'],
    });
    try {
      const { startupProbe, livenessProbe, readinessProbe } = gatewayOf(deploymentOf('base'));
      const monitors = ofKind<IServiceMonitor>(manifestsOf('overlays/monitoring'), 'ServiceMonitor');
      const paths = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet?.path);
      for (const path of [...paths, ...monitors.flatMap(({ spec }) => spec.endpoints.map((one) => one.path))]) {
        const { status } = await fetch(gateway.internalUrl + path);
        expect([path, status]).toEqual([path, 200]);
      }
      expect((await fetch(gateway.connectUrl.replace('ws:', 'http:'))).status).toBe(426);
    } finally {
      await gateway.kill();
    }
  });

  it('can be put together as docs/kubernetes.md shows', async () => {
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8')) ?? [];
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-k8s-'));
    try {
      await mkdir(join(folder, 'own'));
      await symlink(ROOT, join(folder, 'holdfast'));
      await writeFile(join(folder, 'own/kustomization.yaml'), example);
      const manifests = await render(join(folder, 'own'));
      expect(gatewayOf(named(manifests, 'Deployment', 'holdfast')).image).toMatch('registry.example.com/holdfast:');
      const { HOLDFAST_PUBLIC_URL: url = '' } = environmentOf(manifests);
      expect(url).toMatch('your-domain');
      expect(named<IHTTPRoute>(manifests, 'HTTPRoute', 'holdfast').spec.hostnames).toEqual([new URL(url).host]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  describe.each(FOLDERS)('%s', (folder) => {
    it('leaves time to drain, and rolls no faster than that', () => {
      const { spec } = deploymentOf(folder);
      const { terminationGracePeriodSeconds = 30 } = podOf(deploymentOf(folder));
      const sleepS = gatewayOf(deploymentOf(folder)).lifecycle?.preStop?.sleep?.seconds ?? 0;
      const drainS = configOf(folder).drainMs / 1_000;
      expect(sleepS).toBeGreaterThanOrEqual(5);
      expect(terminationGracePeriodSeconds).toBeGreaterThan(sleepS + drainS + CLOSE_MARGIN_S);
      expect(spec?.minReadySeconds ?? 0).toBeGreaterThanOrEqual(drainS);
      expect(spec?.strategy?.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
    });

    it('has settings that the program takes', () => {
      const { env = [], envFrom = [] } = gatewayOf(deploymentOf(folder));
      const given = Object.fromEntries(env.map(({ name, value = 'redis://from-elsewhere' }) => [name, value]));
      const all = { ...environmentOf(manifestsOf(folder)), ...given, HOLDFAST_NODE_ID: 'a-pod', ...SECRETS };
      const { config, sources } = loadConfig({ env: all, flags: {} });
      expect(conflicts(config, true)).toEqual([]);
      expect([config.host, config.internalHost]).toEqual(['0.0.0.0', '0.0.0.0']);
      expect(sources.redisUrl).toBe('env');
      expect(envFrom.at(-1)?.secretRef).toEqual({ name: 'holdfast-secrets' });
      expect(manifestsOf(folder).map(({ kind }) => kind)).not.toContain('Secret');
    });

    it('names the ports that the program listens on', () => {
      const { port, internalPort } = configOf(folder);
      const { ports, startupProbe, livenessProbe, readinessProbe } = gatewayOf(deploymentOf(folder));
      expect(ports).toEqual([
        { name: 'http', containerPort: port },
        { name: 'internal', containerPort: internalPort },
      ]);
      for (const probe of [startupProbe, livenessProbe, readinessProbe]) expect(probe?.httpGet?.port).toBe('internal');
      const policy = named<INetworkPolicy>(manifestsOf(folder), 'NetworkPolicy', 'holdfast');
      expect(policy.spec?.ingress?.flatMap((rule) => rule.ports?.map((one) => one.port))).toEqual(['http', 'internal']);
    });

    it('selects the pods that it means', () => {
      const manifests = manifestsOf(folder);
      const deployments = ofKind<IDeployment>(manifests, 'Deployment');
      for (const { spec } of deployments) {
        expect(spec?.template.metadata?.labels).toEqual(spec?.selector.matchLabels);
        for (const spread of spec?.template.spec?.topologySpreadConstraints ?? [])
          expect(spread.labelSelector).toEqual(spec?.selector);
      }
      const labels = deployments.map(({ spec }) => spec?.template.metadata?.labels);
      const budgets = ofKind<IPodDisruptionBudget>(manifests, 'PodDisruptionBudget').map(({ spec }) => spec);
      const policies = ofKind<INetworkPolicy>(manifests, 'NetworkPolicy').map(({ spec }) => spec);
      const senders = policies.flatMap((spec) => spec?.ingress ?? []).flatMap(({ from = [] }) => from);
      const selected = [
        ...ofKind<IService>(manifests, 'Service').map(({ spec }) => spec?.selector),
        ...budgets.map((spec) => spec?.selector?.matchLabels),
        ...policies.map((spec) => spec?.podSelector?.matchLabels),
        ...senders.flatMap(({ podSelector }) => (podSelector === undefined ? [] : [podSelector.matchLabels])),
      ];
      for (const one of selected) expect(labels).toContainEqual(one);
      expect(budgets).toMatchObject([{ maxUnavailable: 1, selector: { matchLabels: PRODUCT } }]);
    });

    it('leads every Service, route and monitor to a port that is there', () => {
      const manifests = manifestsOf(folder);
      const services = ofKind<IService>(manifests, 'Service');
      const pods = ofKind<IDeployment>(manifests, 'Deployment').map(({ spec }) => spec?.template);
      for (const { spec } of services) {
        const pod = pods.find(
          (template) => JSON.stringify(template?.metadata?.labels) === JSON.stringify(spec?.selector),
        );
        const names = pod?.spec?.containers.flatMap(({ ports = [] }) => ports.map((one) => one.name));
        for (const { targetPort } of spec?.ports ?? []) expect(names).toContain(targetPort);
      }
      const holdfast = named<IService>(manifests, 'Service', 'holdfast').spec?.ports;
      const host = new URL(configOf(folder).publicUrl ?? 'https://nowhere.example').host;
      for (const { spec } of ofKind<IHTTPRoute>(manifests, 'HTTPRoute')) {
        expect(spec.hostnames).toEqual([host]);
        for (const { backendRefs = [], ...rest } of spec.rules ?? []) {
          expect(backendRefs).toEqual([{ name: 'holdfast', port: holdfast?.[0]?.port }]);
          expect(rest).not.toHaveProperty('timeouts');
        }
      }
      for (const { spec } of ofKind<IIngress>(manifests, 'Ingress')) {
        expect(spec?.tls?.[0]?.hosts).toEqual([host]);
        for (const rule of spec?.rules ?? []) {
          expect(rule.host).toBe(host);
          const port = { name: holdfast?.[0]?.name };
          expect(rule.http?.paths.map(({ backend }) => backend.service)).toEqual([{ name: 'holdfast', port }]);
        }
      }
      for (const { spec } of ofKind<IServiceMonitor>(manifests, 'ServiceMonitor')) {
        const wanted = Object.entries(spec.selector.matchLabels ?? {});
        const found = services.filter(({ metadata }) =>
          wanted.every(([key, value]) => metadata.labels?.[key] === value),
        );
        expect(found.map(({ metadata }) => metadata.name)).toEqual(['holdfast-internal']);
        expect(found[0]?.spec?.ports?.map(({ name }) => name)).toEqual(spec.endpoints.map(({ port }) => port));
      }
    });

    it('scales by a metric that the program has', () => {
      const scalers = ofKind<IHorizontalPodAutoscaler>(manifestsOf(folder), 'HorizontalPodAutoscaler');
      if (folder === 'overlays/dev') return expect([scalers, deploymentOf(folder).spec?.replicas]).toEqual([[], 2]);
      expect(deploymentOf(folder).spec).not.toHaveProperty('replicas');
      expect(scalers).toHaveLength(1);
      const { scaleTargetRef, metrics = [], behavior, minReplicas } = scalers[0]?.spec ?? {};
      expect(scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'holdfast' });
      const { registry } = new Metrics();
      for (const { pods } of metrics) expect(registry.getSingleMetric(pods?.metric.name ?? '')).toBeDefined();
      expect(metrics).toHaveLength(1);
      expect(minReplicas).toBeGreaterThan(1);
      expect(behavior?.scaleDown).toEqual({
        stabilizationWindowSeconds: 1_800,
        policies: [{ type: 'Pods', value: 1, periodSeconds: 300 }],
      });
    });

    it('runs as nobody, and may nothing', () => {
      const namespace = named<Manifest>(manifestsOf(folder), 'Namespace', 'holdfast');
      expect(namespace.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
      for (const deployment of ofKind<IDeployment>(manifestsOf(folder), 'Deployment')) {
        const pod = podOf(deployment);
        expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
        for (const { securityContext, resources, image } of pod.containers) {
          expect(securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(Object.keys(resources?.requests ?? {}).sort()).toEqual(['cpu', 'memory']);
          expect(resources?.limits).toHaveProperty('memory');
          expect(image).toMatch(/^[^:@]+:(?!latest$)[\w.-]+$/);
        }
      }
      expect(podOf(deploymentOf(folder)).securityContext).toMatchObject({ runAsUser: 10_001, runAsGroup: 10_001 });
      const account = named<{ automountServiceAccountToken?: boolean }>(
        manifestsOf(folder),
        'ServiceAccount',
        podOf(deploymentOf(folder)).serviceAccountName ?? '',
      );
      expect(account.automountServiceAccountToken).toBe(false);
    });

    it('runs the version of this package, in one namespace', () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      const tag = gatewayOf(deploymentOf(folder)).image?.split(':')[1];
      expect(tag).toBe(folder === 'overlays/dev' ? 'dev' : version);
      for (const { kind, metadata } of manifestsOf(folder))
        if (!CLUSTER_WIDE.has(kind)) expect([kind, metadata.namespace]).toEqual([kind, 'holdfast']);
    });
  });
});
