/** Servers that are compared: each has an audience of its own, and they take turns. */
import { fileURLToPath } from 'node:url';
import type { Counted, Seats } from './audience.js';
import { AudienceProcess } from './audience-process.js';
import { cpuSeconds, type Peer, startPeer } from './process.js';
import type { Route } from './publishers.js';
import { median } from './report.js';

/** One of bench/peers, with its arguments. */
export function peer(name: string, ...args: readonly string[]): Promise<Peer> {
  return startPeer(fileURLToPath(new URL(`./peers/${name}.mjs`, import.meta.url)), ...args);
}

export interface Contender {
  name: string;
  audience: AudienceProcess;
  /** The servers' whose CPU is counted; the first is the one that delivers. */
  pids: readonly number[];
  rounds: Round[];
}

export type Measured = Pick<Contender, 'name' | 'rounds'>;

/** What one round gave; CPU seconds in the order of `pids`. */
export interface Round extends Counted {
  cpu: number[];
}

/** Its audience takes its seats. */
export async function contender(name: string, pids: readonly number[], seats: Seats): Promise<Contender> {
  const audience = new AudienceProcess();
  await audience.call('open', seats);
  return { name, audience, pids, rounds: [] };
}

/** Publishes over that route from now on, and begins to count anew. */
export async function publishBy(it: Contender, route: Route): Promise<void> {
  it.rounds = [];
  await it.audience.call('publisher', route);
}

/** Does the work and notes what CPU it took. */
export async function measured(it: Contender, work: () => Promise<Counted>): Promise<Round> {
  const before = it.pids.map(cpuSeconds);
  const counted = await work();
  return { ...counted, cpu: it.pids.map((pid, index) => cpuSeconds(pid) - (before[index] ?? 0)) };
}

/** Deliveries per CPU second of the server that delivers, or of all of them. */
export function efficiency({ delivered, cpu }: Round, ofAll = false): number {
  return delivered / (ofAll ? cpu.reduce((sum, value) => sum + value, 0) : (cpu[0] ?? Number.NaN));
}

export function medianEfficiency({ rounds }: Measured, ofAll = false): number {
  return median(rounds.map((round) => efficiency(round, ofAll)));
}

/** The median over the rounds of what one gives against another in the same turn. */
export function against(one: Measured, other: Measured, ofAll = false): number {
  return median(
    one.rounds.map((round, index) => {
      const theirs = other.rounds[index];
      return theirs === undefined ? Number.NaN : efficiency(round, ofAll) / efficiency(theirs, ofAll);
    }),
  );
}

/**
 * In turns, there and back, so that what else the machine does hits all of them. The first rounds, in which code is
 * compiled, do not count.
 */
export async function takeTurns(
  contenders: readonly Contender[],
  { warmUp, rounds }: { warmUp: number; rounds: number },
  turn: (it: Contender) => Promise<Counted>,
): Promise<void> {
  for (let round = 0; round < warmUp + rounds; round++) {
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const it of order) {
      const result = await measured(it, () => turn(it));
      if (round >= warmUp) it.rounds.push(result);
    }
  }
}
