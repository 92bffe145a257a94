import type {
  AppendOutcome,
  AppendRequest,
  HistoryEntry,
  HistoryRange,
  HistoryRead,
  MessageStore,
  StreamState,
} from '../../session/message-ports.js';
import { appendCall, appendOutcome } from './append-call.js';
import { inBatches } from './batches.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import type { Keys } from './keys.js';
import { type OutboxSettings, outboxLiterals } from './outbox-settings.js';
import { type ScriptName, Scripts } from './scripts.js';
import { streamState } from './stream-state.js';
import type { StoreTelemetry } from './telemetry.js';

const FIELDS_PER_ENTRY = 3;

/**
 * Messages in Redis. Each verb is one script call, in scripts/*.lua, that mirrors `session/history.ts`; a call whose
 * outcome is unknown is sent again unchanged, and an append is then answered as it was before.
 */
export class RedisMessageStore implements MessageStore {
  readonly #keys: Keys;
  readonly #scripts: Scripts;
  readonly #telemetry: StoreTelemetry;

  /** @param outbox absent: nobody is told of idle sessions */
  constructor(connection: RedisConnection, telemetry: StoreTelemetry, outbox?: OutboxSettings) {
    this.#keys = connection.keys;
    this.#scripts = new Scripts(connection.commands, {
      PUBLISH: connection.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH',
      ...outboxLiterals(outbox),
    });
    this.#telemetry = telemetry;
  }

  async append(request: AppendRequest): Promise<AppendOutcome> {
    const { keys, args } = appendCall(this.#keys, request);
    return appendOutcome((await this.#run('append', keys, args)) as string);
  }

  async read(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryRead> {
    const forward = 'after' in range;
    const args = forward ? ['after', range.after, limit] : ['before', range.before, limit];
    const attempt = () => this.#scripts.runBuffer('history', this.#streamKeys(sessionId), args);
    const [state, ...fields] = (await call(this.#telemetry, 'history', attempt)) as [Buffer, ...Buffer[]];
    const entries = entriesOf(fields);
    return { state: streamState(state.toString()), entries: forward ? entries : entries.reverse() };
  }

  async states(sessionIds: readonly string[]): Promise<(StreamState | undefined)[]> {
    const { results } = await inBatches(
      sessionIds,
      (sessionId) => sessionId,
      async (_partition, batch) => {
        const keys = batch.map((sessionId) => this.#keys.position(sessionId));
        return ((await this.#run('states', keys, [])) as string[]).map(streamState);
      },
    );
    return results;
  }

  async truncate(sessionId: string, through: number): Promise<StreamState> {
    return streamState((await this.#run('truncate', this.#streamKeys(sessionId), [through])) as string);
  }

  async remove(sessionId: string): Promise<void> {
    await this.#run('remove-messages', this.#streamKeys(sessionId), []);
  }

  #streamKeys(sessionId: string): string[] {
    return [this.#keys.position(sessionId), this.#keys.log(sessionId)];
  }

  #run(verb: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#telemetry, verb, () => this.#scripts.run(verb, keys, args));
  }
}

function entriesOf(fields: readonly Buffer[]): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  for (let i = 0; i + 2 < fields.length; i += FIELDS_PER_ENTRY) {
    const [id, at, tail] = fields.slice(i, i + FIELDS_PER_ENTRY) as [Buffer, Buffer, Buffer];
    entries.push({ offset: Number.parseInt(id.toString('latin1'), 10), atMs: Number(at.toString('latin1')), tail });
  }
  return entries;
}
