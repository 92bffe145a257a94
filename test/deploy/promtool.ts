/** What the checks of rules and dashboard share: the metrics that there are, and promtool. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metrics } from '../../src/ops/metrics.js';

export interface KnownMetric {
  type: string;
  labels: readonly string[];
}

/** All that a node exposes, by name. */
export function knownMetrics(): Map<string, KnownMetric> {
  const metrics = new Metrics().registry.getMetricsAsArray() as unknown as {
    name: string;
    type: string;
    labelNames: string[];
  }[];
  return new Map(metrics.map(({ name, type, labelNames }) => [name, { type, labels: labelNames }]));
}

/** Of Prometheus itself, and of the job that scrapes. */
const ALWAYS = new Set(['job', 'instance', 'le']);
const SELECTOR = /\b([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?/g;

/** What an expression asks for that no node exposes: metrics, and labels that none of its metrics has. */
export function unknownIn(expression: string, known: ReadonlyMap<string, KnownMetric>): string[] {
  const unknown: string[] = [];
  const labels = new Set(ALWAYS);
  const asked: string[] = [];
  for (const [, name = '', matchers = ''] of expression.matchAll(SELECTOR)) {
    if (!/^(up$|holdfast_|nodejs_|process_)/.test(name)) continue;
    asked.push(...[...matchers.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label));
    if (name === 'up') continue;
    const metric = known.get(name) ?? histogramOf(name, known);
    if (metric === undefined) unknown.push(name);
    for (const label of metric?.labels ?? []) labels.add(label);
  }
  for (const [, list = ''] of expression.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g)) {
    asked.push(...list.split(',').map((label) => label.trim()));
  }
  return [...unknown, ...asked.filter((label) => !labels.has(label))];
}

function histogramOf(name: string, known: ReadonlyMap<string, KnownMetric>): KnownMetric | undefined {
  const metric = known.get(name.replace(/_(bucket|sum|count)$/, ''));
  return metric?.type === 'histogram' ? metric : undefined;
}

export const noPromtool = spawnSync('promtool', ['--version']).status !== 0 && process.env['CI'] !== 'true';

/** A test's name with the reason why it may be skipped. */
export function withPromtool(name: string): string {
  return noPromtool ? `${name} (skipped: no promtool on the PATH)` : name;
}

/** @returns what promtool complains about; empty when it is content */
export function promtool(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return status === 0 ? '' : `${stdout}${stderr}`;
}

/** @returns what is wrong with the expressions; empty when all can be parsed */
export function checkExpressions(expressions: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-promtool-'));
  try {
    const rules = expressions.map((expr, index) => ({ record: `checked:expression:${index}`, expr }));
    const file = join(folder, 'rules.yml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'checked', rules }] }));
    return promtool('check', 'rules', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
