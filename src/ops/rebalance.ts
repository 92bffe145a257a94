import type { ListedNode } from './ports.js';

export interface Surplus {
  node: ListedNode;
  /** Connections to close. */
  count: number;
  perSecond: number;
}

/**
 * What each node is to close so that all have the same: those that are above the mean by more than `spreadPercent`.
 * All begin and end together, at `maxRate` closes a second over all of them.
 * @param nodes that take connections
 */
export function surplusOf(
  nodes: readonly ListedNode[],
  { spreadPercent, maxRate }: { spreadPercent: number; maxRate: number },
): Surplus[] {
  const mean = nodes.reduce((sum, { connections }) => sum + connections, 0) / nodes.length;
  const above = nodes
    .filter(({ connections }) => connections > mean * (1 + spreadPercent / 100))
    .map((node) => ({ node, count: Math.floor(node.connections - mean) }))
    .filter(({ count }) => count > 0);
  const total = above.reduce((sum, { count }) => sum + count, 0);
  return above.map(({ node, count }) => ({ node, count, perSecond: (maxRate * count) / total }));
}
