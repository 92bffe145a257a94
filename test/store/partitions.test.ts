import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { Keys } from '../../src/store/redis/keys.js';
import { PARTITION_TAGS, PARTITIONS, partitionOf } from '../../src/store/redis/partitions.js';

/** CRC16 as in the Cluster specification (XMODEM). */
function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % 16_384;
}

test('the slot function is the Cluster’s', () => {
  // The specification's own test vector, and a slot that `CLUSTER KEYSLOT` gives.
  expect(slotOf('123456789')).toBe(0x31c3);
  expect(slotOf('foo')).toBe(12_182);
});

test('each of 64 equal ranges of slots holds exactly one partition', () => {
  expect(PARTITIONS).toBe(64);
  expect(PARTITION_TAGS.map((tag) => Math.floor(slotOf(tag) / 256))).toEqual([...PARTITION_TAGS.keys()]);
});

test.each([3, 5, 7, 64])('%i masters serve as many partitions each, give or take one', (masters) => {
  const counts = new Array<number>(masters).fill(0);
  for (const tag of PARTITION_TAGS) {
    const master = Math.floor((slotOf(tag) * masters) / 16_384);
    counts[master] = (counts[master] ?? 0) + 1;
  }
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

test.each([
  ['random ids', () => randomUUID()],
  ['ids that count up', (i: number) => `chat:${i}`],
])('%s spread evenly over the partitions', (_name, idOf) => {
  const each = 1000;
  const counts = new Array<number>(PARTITIONS).fill(0);
  for (let i = 0; i < each * PARTITIONS; i++) {
    const partition = partitionOf(idOf(i));
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  // The chance that an even hash strays this far in any partition is below one in a billion.
  for (const count of counts) expect(Math.abs(count - each)).toBeLessThan(7 * Math.sqrt(each));
});

test('a session never changes its partition', () => {
  const fixed = { a: partitionOf('a'), 'chat:1': partitionOf('chat:1'), 'x~y.z_w-0': partitionOf('x~y.z_w-0') };
  expect(fixed).toEqual({ a: 51, 'chat:1': 46, 'x~y.z_w-0': 2 });
});

test('all keys of a session and of its partition share a slot', () => {
  const keys = new Keys('hf');
  const id = 'chat:1';
  const partition = partitionOf(id);
  const all = [keys.owner(id), keys.lock(id), keys.watchers(id), keys.channel(id), keys.deadlines(partition)];
  expect(new Set([...all, keys.meta(partition)].map((key) => /\{(.+?)\}/.exec(key)?.[1]))).toEqual(
    new Set([PARTITION_TAGS[partition]]),
  );
});

test.each(['', 'a{b', 'a}b', 'a b', 'x'.repeat(65)])('the prefix %j is refused', (prefix) => {
  expect(() => new Keys(prefix)).toThrow(TypeError);
});
