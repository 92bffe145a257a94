/**
 * The partitions' hash tags. Tag i lies in the middle of the i-th of 64 equal ranges of the Cluster's 16384 slots, so
 * that the partitions spread evenly over any number of masters. Part of the stored format: never to change.
 */
export const PARTITION_TAGS: readonly string[] = (
  'mm ry 9i e8 v1 qt ap ax tb kv dn df wo o6 gc xw 8g d6 lc 02 g3 pk on pz 99 zt ul m5 fm yy va iu ' +
  'si k0 ce 8y pd op x9 x1 jf ur zj b3 ik q2 yg fs bk z2 rg ms af an qj i3 c5 dp kh 0t xi xa he 44'
).split(' ');

export const PARTITIONS = PARTITION_TAGS.length;

/**
 * The partition of a session: FNV-1a over its characters, mixed once more because the low bits alone are used.
 * Part of the stored format: never to change.
 */
export function partitionOf(sessionId: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < sessionId.length; i++) {
    hash = Math.imul(hash ^ sessionId.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % PARTITIONS;
}
