import { expect, it } from 'vitest';
import { patient } from '../../src/cli/fleet.js';

const AWAY = new Error('away');

/** A store that is away for so many calls. */
function away(calls: number) {
  let asked = 0;
  const pauses: number[] = [];
  const list = async () => {
    asked += 1;
    if (asked <= calls) throw AWAY;
    return [];
  };
  const pause = async (ms: number) => pauses.push(ms);
  return { nodes: patient({ list }, pause), pauses, asked: () => asked };
}

it('a command looks again when the store is back, and the nodes have been heard of', async () => {
  const { nodes, pauses, asked } = away(3);
  expect(await nodes.list()).toEqual([]);
  expect([asked(), pauses.length]).toEqual([5, 3]);
});

it('and gives up when it stays away', async () => {
  const { nodes, pauses } = away(1_000);
  await expect(nodes.list()).rejects.toBe(AWAY);
  const waitedMs = pauses.reduce((sum, ms) => sum + ms, 0);
  expect(waitedMs).toBe(20_000);
});
