import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { knownMetrics, noPromtool, promtool, unknownIn, withPromtool } from './promtool.js';

interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

const ROOT = join(import.meta.dirname, '../..');
const RULES = join(ROOT, 'deploy/prometheus/rules.yml');
const TESTS = join(ROOT, 'deploy/prometheus/rules.test.yml');

const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);
const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8');

it.skipIf(noPromtool)(withPromtool('the rules pass promtool check rules'), () => {
  expect(promtool('check', 'rules', RULES)).toBe('');
});

it.skipIf(noPromtool)(withPromtool('each alert fires when it should and not else'), () => {
  expect(promtool('test', 'rules', TESTS)).toBe('');
});

it('each alert is among those that fire in a test', () => {
  const tests = readFileSync(TESTS, 'utf8');
  const fired = [...tests.matchAll(/labels: '\{alertname="(\w+)"\}'/g)].map(([, name]) => name);
  expect(new Set(fired)).toEqual(new Set(alerts.map(({ alert }) => alert)));
});

it.each(alerts)('$alert says what it is about, and asks for what nodes expose', ({ expr, labels, annotations }) => {
  expect(unknownIn(expr, knownMetrics())).toEqual([]);
  expect(['critical', 'warning']).toContain(labels['severity']);
  expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook_url', 'summary']);
});

it('each alert has a section of the runbook, and each section an alert', () => {
  const sections = [...runbook.matchAll(/^### (Holdfast\w+)$/gm)].map(([, name]) => name);
  expect(sections).toEqual(alerts.map(({ alert }) => alert));
  for (const { alert, annotations } of alerts) {
    expect(annotations['runbook_url']).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  }
});

it('notices metrics and labels that there are not', () => {
  const known = knownMetrics();
  expect(unknownIn('rate(holdfast_claims_total{result="owned"}[5m])', known)).toEqual([]);
  expect(unknownIn('rate(holdfast_claim_total[5m])', known)).toEqual(['holdfast_claim_total']);
  expect(unknownIn('sum by (reason) (holdfast_claims_total{code="1"})', known)).toEqual(['code', 'reason']);
  expect(unknownIn('holdfast_connections_bucket', known)).toEqual(['holdfast_connections_bucket']);
});
