import type { EventType, Outbox, OutboxBacklog, OutboxEvent } from '../../backend/ports.js';
import {
  idleTold,
  MAX_EVENTS,
  MAX_OTHER_EVENTS,
  type NewEvent,
  outboxBusy,
  ownershipTold,
  revocationTold,
} from '../outbox-events.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import { decodeOwnership } from './events.js';
import { PARTITIONS, partitionOf } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';

type Entry = [id: string, attempts: number, flat: string[]];

/**
 * Events in a stream per partition, in which those stay that are not finished. The scripts of sessions and logins write
 * them (scripts/outbox.lua) in the step that makes the change; a full stream loses its oldest.
 */
export class RedisOutbox implements Outbox {
  readonly partitions = PARTITIONS;
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#scripts = new Scripts(connection.commands, {});
  }

  async join(consumer: string, ttlMs: number): Promise<number> {
    return (await this.#run('outbox-join', [this.#keys.outboxConsumers], [consumer, ttlMs])) as number;
  }

  async acquire(partition: number, consumer: string, ttlMs: number): Promise<boolean> {
    return (await this.#run('outbox-lease', this.#leaseKeys(partition), [consumer, ttlMs])) === 1;
  }

  async release(partition: number, consumer: string): Promise<void> {
    await this.#run('outbox-lease', this.#leaseKeys(partition), [consumer, 0]);
  }

  async read(partition: number, consumer: string, limit: number, known: boolean): Promise<OutboxEvent[]> {
    const args = [consumer, limit, known ? 1 : 0];
    const entries = (await this.#run('outbox-read', this.#leaseKeys(partition), args)) as Entry[];
    const events: OutboxEvent[] = [];
    for (const entry of entries) {
      const event = eventOf(partition, entry);
      if (event !== undefined) events.push(event);
      else await this.#buryUnreadable(partition, entry);
    }
    return events;
  }

  async done(partition: number, eventIds: readonly string[]): Promise<void> {
    if (eventIds.length === 0) return;
    await this.#run('outbox-done', [this.#keys.outbox(partition)], eventIds.map(entryIdOf));
  }

  async failed(partition: number, eventId: string): Promise<number> {
    return (await this.#run('outbox-failed', [this.#keys.outbox(partition)], [entryIdOf(eventId)])) as number;
  }

  async bury(partition: number, event: OutboxEvent, reason: string): Promise<void> {
    const keys = [this.#keys.outbox(partition), this.#keys.outboxDead(partition)];
    const { id, type, subject, atMs, fields, attempts } = event;
    const letter = { id, type, subject, at: atMs, fields: JSON.stringify(fields), attempts, reason };
    await this.#run('outbox-bury', keys, [entryIdOf(id), ...Object.entries(letter).flat()]);
  }

  async add({ type, subject, fields }: NewEvent): Promise<void> {
    const { commands, keys, telemetry } = this.#connection;
    const key = keys.outbox(partitionOf(subject));
    if ((await call(telemetry, 'xlen', () => commands.xlen(key))) >= MAX_OTHER_EVENTS) throw outboxBusy();
    const entry = ['type', type, 'subject', subject, 'fields', JSON.stringify(fields)];
    await call(telemetry, 'xadd', () => commands.xadd(key, 'MAXLEN', '~', MAX_EVENTS, '*', ...entry));
  }

  async backlog(): Promise<OutboxBacklog> {
    const { commands, telemetry } = this.#connection;
    const lengths = (keyOf: (partition: number) => string) =>
      Promise.all(
        Array.from({ length: PARTITIONS }, (_, partition) =>
          call(telemetry, 'xlen', () => commands.xlen(keyOf(partition))),
        ),
      );
    const [waiting, dead] = await Promise.all([
      lengths((partition) => this.#keys.outbox(partition)),
      lengths((partition) => this.#keys.outboxDead(partition)),
    ]);
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    return { waiting: sum(waiting), fullest: Math.max(...waiting), dead: sum(dead) };
  }

  /** What another version wrote, perhaps: left where it is, nothing behind it would ever be read. */
  async #buryUnreadable(partition: number, [id, , flat]: Entry): Promise<void> {
    const keys = [this.#keys.outbox(partition), this.#keys.outboxDead(partition)];
    await this.#run('outbox-bury', keys, [id, 'id', `${partition}-${id}`, 'reason', 'unreadable', ...flat]);
  }

  get #keys() {
    return this.#connection.keys;
  }

  #leaseKeys(partition: number): string[] {
    return [this.#keys.outbox(partition), this.#keys.outboxLease(partition)];
  }

  #run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#connection.telemetry, name, () => this.#scripts.run(name, keys, args));
  }
}

/** The entry's id within its stream, `<ms>-<number>`. */
function entryIdOf(eventId: string): string {
  return eventId.slice(eventId.indexOf('-') + 1);
}

function eventOf(partition: number, [id, attempts, flat]: Entry): OutboxEvent | undefined {
  const entry: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) entry[flat[i] ?? ''] = flat[i + 1] ?? '';
  try {
    return { id: `${partition}-${id}`, ...toldBy(entry), atMs: Number(id.split('-', 1)[0]), attempts };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** By who wrote the entry: a step on a session, a step on a login, or `add`. @throws SyntaxError */
function toldBy({ session, ownership, login, principal, reason, type, subject, fields }: Record<string, string>) {
  if (ownership !== undefined) return ownershipTold(decodeOwnership(session ?? '', ownership));
  if (session !== undefined) return idleTold(session);
  if (login !== undefined) return revocationTold(login, principal ?? '', reason ?? '');
  if (type === undefined || subject === undefined) throw new SyntaxError('an event has too few fields');
  return { type: type as EventType, subject, fields: JSON.parse(fields ?? '') as OutboxEvent['fields'] };
}
