import { table } from '../../bench/report.js';

/** What the restart of one node did. */
export interface Step {
  node: string;
  connections: number;
  /** Connections made until the node was back. */
  moved: number;
  /** From the signal until every owner was one again. */
  all_back_ms: number;
  /** From an owner's lost connection until it was the owner again. */
  absence_ms: { p50: number; p99: number; max: number };
  busiest_second: number;
  /** The pace of the drain; absent where there was none. */
  pace?: number;
  /** How much later than others some came back because this machine was busy, which adds to the busiest second. */
  lateness_ms: number;
  /** Connections that ended, by close code; 1006 are those that broke off. */
  closes: Readonly<Record<string, number>>;
  /** What went wrong with the node or its owners. */
  faults: readonly string[];
}

export interface Report {
  signal: 'SIGTERM' | 'SIGKILL';
  owners: number;
  every_ms: number;
  steps: readonly Step[];
  /** Owners whose session was not theirs when they came back. */
  owners_lost: number;
  messages: { sent: number; lost: number; doubled: number };
}

/** @returns what was promised and did not hold, a line each */
export function brokenPromises({ steps, owners_lost: lost, messages }: Report): string[] {
  const broken = steps.flatMap(({ node, faults }) => faults.map((fault) => `${node}: ${fault}`));
  if (lost > 0) broken.push(`${lost} owners lost their session`);
  if (messages.lost > 0) broken.push(`${messages.lost} messages never arrived`);
  if (messages.doubled > 0) broken.push(`${messages.doubled} messages arrived twice`);
  return broken;
}

/** The value below which that part of them lies. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

export function print(report: Report): void {
  const { signal, owners, every_ms: everyMs, steps, owners_lost: lost, messages } = report;
  table(
    `${owners} owners, each with a message every ${everyMs} ms; every node in turn restarted by ${signal}`,
    ['node', 'connections', 'moved', 'all back', 'away p50', 'p99', 'max', 'busiest second', 'pace', 'closes'],
    steps.map((step) => [
      step.node,
      step.connections,
      step.moved,
      `${(step.all_back_ms / 1_000).toFixed(1)} s`,
      `${Math.round(step.absence_ms.p50)} ms`,
      `${Math.round(step.absence_ms.p99)} ms`,
      `${Math.round(step.absence_ms.max)} ms`,
      step.busiest_second,
      step.pace === undefined ? '-' : Math.round(step.pace),
      Object.entries(step.closes)
        .map(([code, count]) => `${count} × ${code}`)
        .join(', '),
    ]),
  );
  console.log(`  owners lost: ${lost}`);
  console.log(`  messages: ${messages.sent} sent, ${messages.lost} lost, ${messages.doubled} doubled`);
  const broken = brokenPromises(report);
  for (const line of broken) console.log(`  BROKEN: ${line}`);
  if (broken.length === 0) console.log('  every promise held');
}
