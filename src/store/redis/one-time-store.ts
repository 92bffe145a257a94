import type { OneTimeStore } from '../../login/ports.js';
import type { RedisConnection } from './client.js';
import { call, classify, unavailable } from './errors.js';

type Kind = Parameters<OneTimeStore['take']>[0];

/** Tickets and login codes in Redis, consumed by GETDEL. */
export class RedisOneTimeStore implements OneTimeStore {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  async put(kind: Kind, hash: string, value: string, ttlMs: number): Promise<void> {
    const { commands, keys, telemetry } = this.#connection;
    await call(telemetry, 'set', () => commands.set(keys.oneTime(kind, hash), value, 'PX', ttlMs));
  }

  /** @throws HoldfastError `store_unavailable` also when an answer was lost that may have been the value */
  async take(kind: Kind, hash: string): Promise<string | undefined> {
    const { commands, keys, telemetry } = this.#connection;
    let lost: unknown;
    const value = await call(telemetry, 'getdel', async () => {
      try {
        return await commands.getdel(keys.oneTime(kind, hash));
      } catch (error) {
        if (classify(error) === 'unknown') lost = error;
        throw error;
      }
    });
    if (value === null && lost !== undefined) throw unavailable(lost);
    return value ?? undefined;
  }
}
