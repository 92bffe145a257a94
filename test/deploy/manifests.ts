/** The Kubernetes manifests as written, and as `kubectl kustomize` renders them. */
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { parseAllDocuments } from 'yaml';
import { findOnPath } from '../support/redis-binary.js';

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const K8S = join(ROOT, 'k8s');

export const OVERLAYS = readdirSync(join(K8S, 'overlays')).sort();

/** Any Kubernetes object. What is in it is for the compiler to check and for the caller to name. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { name: string; namespace?: string; labels?: Readonly<Record<string, string>> };
}

export interface Kustomization {
  resources?: string[];
  components?: string[];
  images?: { name: string; newName?: string; newTag?: string }[];
  configMapGenerator?: { name: string; literals: string[] }[];
  patches?: { path?: string; patch?: string }[];
}

/** @throws Error where the text is not YAML, or a key stands twice in one object */
export function parseManifests(text: string): unknown[] {
  return parseAllDocuments(text, { uniqueKeys: true }).map((document) => {
    for (const error of document.errors) throw error;
    return document.toJS() as unknown;
  });
}

/** Every YAML file below k8s, as paths relative to it. */
export function manifestFiles(): string[] {
  const entries = readdirSync(K8S, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => relative(K8S, file)).sort();
}

/** The documents of one file below k8s. */
export function readManifests(file: string): unknown[] {
  return parseManifests(readFileSync(join(K8S, file), 'utf8'));
}

/** @returns why nothing can be rendered; undefined where it can. Components need the kustomize of kubectl 1.27 or later */
export function missingKubectl(): string | undefined {
  const help = 'kubectl 1.27 or later is missing';
  if (findOnPath('kubectl') === undefined) return help;
  const answer = execFileSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
  const { kustomizeVersion = '' } = JSON.parse(answer) as { kustomizeVersion?: string };
  return Number(/^v(\d+)\./.exec(kustomizeVersion)?.[1] ?? 0) >= 5 ? undefined : help;
}

/** @param folder that has a kustomization.yaml */
export async function render(folder: string): Promise<Manifest[]> {
  const { stdout } = await run('kubectl', ['kustomize', folder]);
  return parseManifests(stdout) as Manifest[];
}

/** All of a kind; typed by the caller, since the compiler has checked them against the models. */
export function ofKind<T>(manifests: readonly Manifest[], kind: string): (T & Manifest)[] {
  return manifests.filter((manifest) => manifest.kind === kind) as (T & Manifest)[];
}

/** @throws Error unless there is exactly one of that kind and name */
export function named<T>(manifests: readonly Manifest[], kind: string, name: string): T & Manifest {
  const found = ofKind<T>(manifests, kind).filter(({ metadata }) => metadata.name === name);
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`${found.length} of ${kind} ${name}`);
  return first;
}

export function podOf(deployment: IDeployment): IPodSpec {
  const spec = deployment.spec?.template.spec;
  if (spec === undefined) throw new Error('a Deployment without pods');
  return spec;
}

export function gatewayOf(deployment: IDeployment): IPodSpec['containers'][number] {
  const container = podOf(deployment).containers.find(({ name }) => name === 'holdfast');
  if (container === undefined) throw new Error('no container holdfast');
  return container;
}

/** What the program finds in its environment, but for what comes out of the Secret and the pod itself. */
export function environmentOf(manifests: readonly Manifest[]): Record<string, string> {
  const { env = [], envFrom = [] } = gatewayOf(named<IDeployment>(manifests, 'Deployment', 'holdfast'));
  const maps = envFrom.flatMap(({ configMapRef }) =>
    configMapRef?.name === undefined ? [] : [named<IConfigMap>(manifests, 'ConfigMap', configMapRef.name).data ?? {}],
  );
  const values = env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]]));
  return Object.assign({}, ...maps, Object.fromEntries(values)) as Record<string, string>;
}
