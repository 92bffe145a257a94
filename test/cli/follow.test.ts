import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { follow } from '../../src/cli/fleet.js';
import type { ListedNode, NodeState } from '../../src/ops/ports.js';

// Takes no time.
vi.mock('node:timers/promises', () => ({ setTimeout: async (ms: number) => vi.advanceTimersByTime(ms) }));

const said: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  said.length = 0;
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => said.push(String(line).trim()) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Follows the drain of a node that is listed as that after so many ms, or is not listed. */
function followed(stateAt: (ms: number) => NodeState | undefined): Promise<void> {
  const base = { nodeId: 'n1', bootId: 'b1', version: '1.2.3', connections: 1, leases: 0, configFingerprint: 'ab' };
  const node = (state: NodeState): ListedNode => ({ ...base, state, silentMs: 0 });
  const startedMs = performance.now();
  const list = async () => {
    const state = stateAt(performance.now() - startedMs);
    return state === undefined ? [] : [node(state)];
  };
  return follow({ nodes: { list }, tell: () => Promise.reject() }, node('ready'), ({ state }) => ({
    line: state,
    heeded: state !== 'ready',
    done: state === 'drained',
  }));
}

it('a node that is not listed for a moment, since the store lost its data, has not ended', async () => {
  await followed((ms) => (ms < 1_000 ? 'draining' : ms < 6_000 ? undefined : ms < 7_000 ? 'draining' : 'drained'));
  expect(said).toEqual(['draining', 'drained']);
});

it('a node that is listed no more has ended', async () => {
  await followed((ms) => (ms < 1_000 ? 'draining' : undefined));
  expect(said).toEqual(['draining', 'n1 has ended']);
});

it('a node that heeds another command since is not said to heed none', async () => {
  await expect(followed((ms) => (ms < 1_000 ? 'draining' : 'ready'))).rejects.toThrow('n1 was told otherwise since');
  await expect(followed(() => 'ready')).rejects.toThrow('n1 does not do as it was told');
});
