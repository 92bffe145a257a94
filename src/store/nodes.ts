import type { ListedNode } from '../ops/ports.js';

/** Of several processes of one node the one that was heard of last comes first. */
export function byName(a: ListedNode, b: ListedNode): number {
  return a.nodeId.localeCompare(b.nodeId, 'en', { numeric: true }) || a.silentMs - b.silentMs;
}
