import { EntryRing, type StoredEntry } from '../../src/session/entry-ring.js';
import type { Stream } from '../../src/session/history.js';

/** One that stays as it is. */
export function copiedStream(stream: Stream): Stream {
  const entries = new EntryRing();
  for (const { atMs, tail, bytes } of entriesOf(stream.entries)) entries.push(atMs, tail, bytes);
  return { ...stream, entries, writers: new Map(stream.writers) };
}

export function entriesOf(ring: EntryRing): StoredEntry[] {
  const entries: StoredEntry[] = [];
  for (let entry = ring.at(0); entry !== undefined; entry = ring.at(entries.length)) entries.push({ ...entry });
  return entries;
}
