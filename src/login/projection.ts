import { EVENT_FIELDS } from './machine.js';
import type { LoginEvent, LoginRecord } from './ports.js';

/** A record as the audit stream tells it, which never holds an id. */
export type ProjectedLogin = Omit<LoginRecord, 'loginId'>;

const NUMBERS: ReadonlySet<string> = new Set([
  'created_at',
  'last_seen_at',
  'expires_at',
  'max_expires_at',
  'generation',
  'ended_at',
]);

const FIELDS: Readonly<Record<string, keyof LoginRecord>> = EVENT_FIELDS;

/**
 * Replays events, oldest first, into the records that they tell of, by handle. A login whose beginning is no longer in
 * the stream is left out.
 */
export function project(events: Iterable<LoginEvent>): Map<string, ProjectedLogin> {
  const records = new Map<string, ProjectedLogin>();
  for (const { handle, kind, fields } of events) {
    const before = records.get(handle);
    if (before === undefined && kind !== 'created') continue;
    const changed: [string, string | number][] = [];
    for (const [name, text] of Object.entries(fields)) {
      const key = FIELDS[name];
      if (key !== undefined) changed.push([key, NUMBERS.has(name) ? Number(text) : text]);
    }
    records.set(handle, { handle, ...before, ...Object.fromEntries(changed) } as ProjectedLogin);
  }
  return records;
}
