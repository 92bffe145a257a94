import { table } from '../report.js';
import { VERBS } from './calls.js';
import { broken, type Result } from './run-scenario.js';
import { SCENARIOS } from './scenarios.js';
import { RECOVERY_MS } from './verdict.js';

const WIDTH = 110;

/** Writes one scenario's figures beside what ARCHITECTURE.md promises. */
export function print(result: Result): void {
  const { scenario, redisMs, loss, lostOwners, findings, examples, checks, callsPerSecond } = result;
  console.log(`\n${scenario}: ${SCENARIOS[scenario].help}\n`);
  for (const { failure, happens, guarantees } of result.promised) {
    console.log(wrapped(`ARCHITECTURE.md, "${failure}": ${happens}. Guarantees: ${guarantees}`));
  }
  const rows = VERBS.map((verb) => {
    const { ok, firstOkMs, allOkMs, slowestMs, errors } = result.verbs[verb];
    const first = firstOkMs === undefined ? 'never' : seconds(firstOkMs);
    return [verb, ok, first, seconds(allOkMs), seconds(slowestMs), codes(errors)];
  });
  const columns = ['s after the fault', 'calls ok', 'first ok', 'all ok', 'slowest', 'errors'];
  table(`${callsPerSecond} calls a second; Redis back, or done, after ${seconds(redisMs)} s`, columns, rows);
  table(
    'lost and told',
    ['', 'measured'],
    [
      ['acknowledged messages', loss.acknowledged],
      ['of which lost', loss.lost],
      ['owners that lost their session', lostOwners.length],
      ['resets, everything recovered', findings['reset, recovered']],
      ['resets, something lost', findings['reset, not recovered']],
    ],
  );
  table(
    `promised (recovery within ${RECOVERY_MS} ms)`,
    ['', 'measured', 'at most', ''],
    checks.map((check) => [
      check.what,
      check.measured,
      check.allowed,
      check.measured > check.allowed ? 'BROKEN' : 'holds',
    ]),
  );
  if (broken(result).length === 0) return;
  for (const { session, how } of lostOwners.slice(0, 10)) console.log(`  ${session}: ${how}`);
  for (const example of examples) console.log(`  ${example}`);
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(2);
}

function codes(errors: Record<string, number>): string {
  const texts = Object.entries(errors).map(([code, times]) => `${code} ${times}`);
  return texts.join(', ') || 'none';
}

/** Breaks a text between its words and indents it. */
function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length < WIDTH) lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `  ${line}`).join('\n');
}
