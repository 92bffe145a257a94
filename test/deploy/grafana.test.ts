import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkExpressions, knownMetrics, noPromtool, unknownIn, withPromtool } from './promtool.js';

interface Grid {
  x: number;
  y: number;
  w: number;
  h: number;
}

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: Grid;
  datasource?: { uid: string };
  targets?: { refId: string; expr: string; legendFormat: string; datasource: { uid: string } }[];
}

interface Dashboard {
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; type: string; definition?: string }[] };
  annotations: { list: { expr: string }[] };
}

const FILE = join(import.meta.dirname, '../../deploy/grafana/holdfast.json');
const COLUMNS = 24;

const dashboard = JSON.parse(readFileSync(FILE, 'utf8')) as Dashboard;
const { panels } = dashboard;
const rows = panels.filter(({ type }) => type === 'row');
const charts = panels.filter(({ type }) => type !== 'row');

/** As Prometheus gets it. */
function plain(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '5m')
    .replaceAll('$__interval', '5m')
    .replaceAll('$job', 'holdfast')
    .replaceAll('$instance', '.*');
}

const targets = charts.flatMap(({ title, targets: list = [] }) => list.map((target) => ({ title, ...target })));
const expressions = [...targets, ...dashboard.annotations.list].map(({ expr }) => plain(expr));

function overlap(a: Grid, b: Grid): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

it('is a dashboard for Grafana 10.3 and later', () => {
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
    ['datasource', 'datasource'],
    ['job', 'query'],
    ['instance', 'query'],
  ]);
});

it('gives each panel an id and a place of its own', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const [index, { title, gridPos }] of panels.entries()) {
    expect([title, gridPos.x + gridPos.w <= COLUMNS]).toEqual([title, true]);
    const over = panels.slice(index + 1).filter((other) => overlap(gridPos, other.gridPos));
    expect([title, over.map((other) => other.title)]).toEqual([title, []]);
  }
});

it('has a row a subject, and no empty one', () => {
  expect(rows.map(({ title }) => title)).toEqual([
    'Fleet',
    'Ownership',
    'Messages',
    'Connections and closes',
    'Slow consumers',
    'Drains',
    'Redis',
    'Event loop and memory',
    'Hooks and outbox',
    'Logins',
  ]);
  const kinds = panels.map(({ type }) => (type === 'row' ? 'row' : 'chart')).join(' ');
  expect(`${kinds} row`).not.toContain('row row');
});

it('says of each panel what it shows, from the chosen data source', () => {
  for (const { title, description, datasource, targets: list = [] } of charts) {
    expect([title, description?.length]).toEqual([title, expect.any(Number)]);
    expect([title, list.length > 0]).toEqual([title, true]);
    for (const { uid } of [datasource ?? { uid: '' }, ...list.map((target) => target.datasource)]) {
      expect([title, uid]).toEqual([title, `$\{datasource}`]);
    }
  }
});

it.each(targets)('$title, $refId asks for what nodes expose, of the chosen nodes', ({ expr, legendFormat }) => {
  expect(unknownIn(plain(expr), knownMetrics())).toEqual([]);
  expect(expr.match(/\{[^}]*\}/g)?.every((matchers) => matchers.includes('job="$job",instance=~"$instance"'))).toBe(
    true,
  );
  const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
  const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? ['instance'];
  expect(grouped).toEqual(expect.arrayContaining(labels));
});

it('asks for nothing else that nodes do not expose', () => {
  const others = dashboard.annotations.list.map(({ expr }) => plain(expr));
  others.push(...dashboard.templating.list.flatMap(({ definition }) => definition ?? []).map(plain));
  for (const expression of others) expect(unknownIn(expression, knownMetrics())).toEqual([]);
});

it.skipIf(noPromtool)(withPromtool('has expressions that Prometheus can parse'), () => {
  expect(expressions.length).toBeGreaterThan(50);
  expect(checkExpressions(expressions)).toBe('');
  expect(checkExpressions(['sum(rate(holdfast_claims_total[5m])'])).toContain('parse error');
});
