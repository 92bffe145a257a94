import type { PrincipalMarks } from '../../login/ports.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import { Scripts } from './scripts.js';

/** Marks in Redis, one string for each principal. */
export class RedisPrincipalMarks implements PrincipalMarks {
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#scripts = new Scripts(connection.commands, {});
  }

  async set(principalHandle: string, notBeforeMs: number, ttlMs: number): Promise<void> {
    const { keys, telemetry } = this.#connection;
    const key = keys.principalNotBefore(principalHandle);
    await call(telemetry, 'login-mark', () => this.#scripts.run('login-mark', [key], [notBeforeMs, ttlMs]));
  }

  async get(principalHandle: string): Promise<number> {
    const { commands, keys, telemetry } = this.#connection;
    const key = keys.principalNotBefore(principalHandle);
    return Number((await call(telemetry, 'get', () => commands.get(key))) ?? 0);
  }
}
