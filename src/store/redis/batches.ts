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
