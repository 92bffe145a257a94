import type { Presence, PresenceEntry, PresenceStore, PresenceTimings } from '../../session/presence-ports.js';
import { byPartition } from './batches.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import { PARTITIONS, partitionOf } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';

type PresenceReply = [rev: string, count: number, ...members: (string | number)[]];

/**
 * Presence in Redis: a hash of each session's members, and for each partition an index of when entries end. Each verb is
 * one script call, in scripts/presence-*.lua; the same call again does nothing more.
 */
export class RedisPresenceStore implements PresenceStore {
  readonly partitions = PARTITIONS;
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;

  constructor(connection: RedisConnection, timings: PresenceTimings) {
    this.#connection = connection;
    this.#scripts = new Scripts(connection.commands, {
      PRESENCE_TTL_MS: timings.presenceTtlMs,
      PUBLISH: connection.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH',
    });
  }

  async join({ sessionId, connectionId, principal }: PresenceEntry): Promise<Presence> {
    const { keys } = this.#connection;
    const at = [keys.presence(partitionOf(sessionId)), keys.members(sessionId)];
    return presenceOf(await this.#run('presence-join', at, [sessionId, connectionId, principal]));
  }

  async read(sessionId: string): Promise<Presence> {
    return presenceOf(await this.#run('presence-read', [this.#connection.keys.members(sessionId)], []));
  }

  renew(entries: readonly PresenceEntry[]): Promise<void> {
    return this.#batched('presence-renew', entries, [], (entry) => [
      entry.sessionId,
      entry.connectionId,
      entry.principal,
    ]);
  }

  leave(entries: readonly PresenceEntry[], graceMs: number): Promise<void> {
    return this.#batched('presence-leave', entries, [graceMs], (entry) => [entry.sessionId, entry.connectionId]);
  }

  async sweep(partition: number, limit: number): Promise<{ ended: number; more: boolean }> {
    const { keys } = this.#connection;
    const at = [keys.presence(partition), keys.meta(partition)];
    const reply = await this.#run('presence-sweep', at, [keys.channelBase(partition), limit]);
    const [ended, more] = reply as [number, number];
    return { ended, more: more === 1 };
  }

  /** All partitions at once. @throws HoldfastError of the first that failed, when the others are done */
  async #batched(
    verb: ScriptName,
    entries: readonly PresenceEntry[],
    first: readonly number[],
    argsOf: (entry: PresenceEntry) => string[],
  ): Promise<void> {
    const { keys } = this.#connection;
    const outcomes = await Promise.allSettled(
      byPartition(entries, ({ sessionId }) => sessionId).map(({ partition, positions }) => {
        const batch = positions.map((position) => entries[position] as PresenceEntry);
        const members = batch.map(({ sessionId }) => keys.members(sessionId));
        return this.#run(verb, [keys.presence(partition), ...members], [...first, ...batch.flatMap(argsOf)]);
      }),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #run(verb: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#connection.telemetry, verb, () => this.#scripts.run(verb, keys, args));
  }
}

function presenceOf(reply: unknown): Presence {
  const [rev, count, ...rest] = reply as PresenceReply;
  const members: Presence['members'] = [];
  for (let i = 0; i < rest.length; i += 2) {
    members.push({ principal: String(rest[i]), connections: Number(rest[i + 1]) });
  }
  return { rev: Number(rev), count, members };
}
