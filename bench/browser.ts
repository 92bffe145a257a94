/** What the client costs a page: messages parsed and dispatched in Chromium, beside a WebSocket with nothing on top. */
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { bundleClient } from '../scripts/bundle.js';
import { launchChromium } from '../test/support/chromium.js';
import { ANSWERS, MESSAGE, startPageStream } from './page-stream.js';
import { median, ratio, table } from './report.js';

const WAYS = ['bare', 'client'] as const;
const PER_SECOND = 50_000;
const PACED: Wish = { count: 100_000, perSecond: PER_SECOND };
const SATURATED: Wish = { count: 20_000 };
const ROUNDS = 5;

type Way = (typeof WAYS)[number];

/** `perSecond`: handed to the page's code at that pace. Without it they come over the network, as fast as they are taken. */
interface Wish {
  count: number;
  perSecond?: number;
}

interface Measured {
  ms: number;
  busyMs: number;
  longTasksMs: number[];
}

/** Both ways in turns, so that what else the machine does hits both. The first round, in which code is compiled, does not count. */
async function takeTurns(page: Page, wish: Wish): Promise<Record<Way, Measured[]>> {
  const rounds: Record<Way, Measured[]> = { bare: [], client: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const way of WAYS) {
      const call = `measure(${JSON.stringify(way)}, ${JSON.stringify(wish)})`;
      const measured = await page.evaluate<Measured>(call);
      if (round > 0) rounds[way].push(measured);
    }
  }
  return rounds;
}

/** How the client fares against a bare socket, in the median round. */
function against(rounds: Record<Way, Measured[]>, value: (measured: Measured) => number): number {
  return median(rounds.client.map((it, round) => value(it) / value(rounds.bare[round] ?? it)));
}

function report(title: string, rounds: Record<Way, Measured[]>, column: string, value: (it: Measured) => number): void {
  table(
    `${title}, medians of ${ROUNDS} rounds in turn`,
    ['', column, 'tasks over 50 ms', 'longest'],
    WAYS.map((way) => {
      const tasks = rounds[way].flatMap(({ longTasksMs }) => longTasksMs);
      const longest = tasks.length === 0 ? '-' : `${Math.round(Math.max(...tasks))} ms`;
      return [way, median(rounds[way].map(value)).toFixed(1), tasks.length, longest];
    }),
  );
}

async function measure(page: Page): Promise<void> {
  const paced = await takeTurns(page, PACED);
  const micros = ({ busyMs }: Measured) => (busyMs * 1_000) / PACED.count;
  report(`${PER_SECOND} messages a second handed to the page's code`, paced, 'µs for each', micros);
  const longTasks = paced.client.flatMap(({ longTasksMs }) => longTasksMs).length;
  const share = median(paced.client.map(({ busyMs, ms }) => busyMs / ms));
  console.log(`  the client keeps the page busy for ${(share * 100).toFixed(0)} % of the time`);
  console.log(`  its tasks over 50 ms: ${longTasks} (${longTasks === 0 ? 'holds' : 'MISSED'}: none)`);
  console.log(`  against JSON.parse alone: ${ratio(against(paced, micros))}`);

  const taken = await takeTurns(page, SATURATED);
  const thousands = ({ ms }: Measured) => SATURATED.count / ms;
  report('over a WebSocket, as fast as they are taken', taken, 'thousands a second', thousands);
  console.log(`  client against a bare WebSocket: ${ratio(against(taken, thousands), { atLeast: 0.7 })}`);
}

export async function browser(): Promise<void> {
  const file = (name: string) => readFile(new URL(`page/${name}`, import.meta.url));
  const files = new Map([
    ['/', await file('index.html')],
    ['/count.js', await file('count.js')],
    ['/client.js', await bundleClient('iife')],
  ]);
  const stream = await startPageStream(files, SATURATED.count);
  const chromiumBrowser = await launchChromium();
  try {
    const page = await chromiumBrowser.newPage();
    await page.goto(stream.url);
    await page.evaluate(`prepare(${JSON.stringify(ANSWERS)}, ${JSON.stringify(MESSAGE)}, ${PACED.count})`);
    await measure(page);
  } finally {
    await chromiumBrowser.close();
    await stream.stop();
  }
}
