/** Holds manifests to the types of the Kubernetes API: an unknown field or a wrong kind of value is an error of tsc. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Manifest, ROOT } from './manifests.js';

const run = promisify(execFile);

/** API groups that are no part of Kubernetes itself. */
const PACKAGES: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/** The module that has the interface of a kind. */
function moduleOf({ apiVersion, kind }: Manifest): string {
  const [group = ''] = apiVersion.split('/');
  return `${PACKAGES[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/** One constant a manifest. Its name tells where it comes from, since tsc's messages show the line. */
function constant(label: string, manifest: Manifest, index: number): string {
  const name = `${label}_${manifest.kind}_${index}`.replace(/\W/g, '_');
  const type = `import('${moduleOf(manifest)}').I${manifest.kind}`;
  return `export const ${name}: ${type} = ${JSON.stringify(manifest)};`;
}

/**
 * @param rendered manifests by where they come from
 * @returns what tsc says; empty where all is well
 */
export async function typeErrors(rendered: ReadonlyMap<string, readonly Manifest[]>): Promise<string> {
  const cache = join(ROOT, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  // Within the project, so that the models are found.
  const folder = await mkdtemp(join(cache, 'holdfast-k8s-'));
  const lines = [...rendered].flatMap(([label, manifests]) => manifests.map((one, i) => constant(label, one, i)));
  const tsconfig = {
    compilerOptions: { module: 'preserve', strict: true, noEmit: true, skipLibCheck: true, types: [] },
    files: ['manifests.ts'],
  };
  try {
    await writeFile(join(folder, 'manifests.ts'), `${lines.join('\n')}\n`);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder });
    return '';
  } catch (error) {
    const { stdout, message } = error as Error & { stdout?: string };
    return stdout || message;
  } finally {
    await rm(folder, { recursive: true });
  }
}
