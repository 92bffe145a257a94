import type { HoldfastError } from '../../protocol/errors.js';
import { partitionOf } from './partitions.js';

/** Bounds how long one call keeps Redis from serving others: about a millisecond. */
const MAX_BATCH = 200;

interface Batch {
  partition: number;
  /** Of the items in the list they came from. */
  positions: number[];
}

/** Groups items by the partition of their session, at most 200 to a batch. */
export function byPartition<T>(items: readonly T[], sessionOf: (item: T) => string): Batch[] {
  const batches: Batch[] = [];
  const filling = new Map<number, Batch>();
  for (const [position, item] of items.entries()) {
    const partition = partitionOf(sessionOf(item));
    let batch = filling.get(partition);
    if (batch === undefined || batch.positions.length === MAX_BATCH) {
      batch = { partition, positions: [] };
      filling.set(partition, batch);
      batches.push(batch);
    }
    batch.positions.push(position);
  }
  return batches;
}

/** Results in the items' order; undefined, and why, for those whose batch failed. */
export interface Batched<R> {
  results: (R | undefined)[];
  failure?: HoldfastError;
}

/**
 * Runs `work` on batches of one partition each, all at once, and puts the results into the items' order.
 * @param work throws HoldfastError and nothing else
 * @throws when every batch fails: then the store is away, and not a part of it
 */
export async function inBatches<T, R>(
  items: readonly T[],
  sessionOf: (item: T) => string,
  work: (partition: number, batch: readonly T[]) => Promise<R[]>,
): Promise<Batched<R>> {
  const results = new Array<R | undefined>(items.length).fill(undefined);
  const batches = byPartition(items, sessionOf);
  const outcomes = await Promise.allSettled(
    batches.map(async ({ partition, positions }) => {
      const batch = positions.map((position) => items[position] as T);
      const done = await work(partition, batch);
      for (const [i, position] of positions.entries()) results[position] = done[i];
    }),
  );
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  if (failures.length === 0) return { results };
  const failure = failures[0]?.reason as HoldfastError;
  if (failures.length === batches.length) throw failure;
  return { results, failure };
}
