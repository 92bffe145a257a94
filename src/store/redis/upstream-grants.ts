import { randomUUID } from 'node:crypto';
import type { UpstreamFailure, UpstreamGrant, UpstreamGrants } from '../../login/ports.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import type { Keys } from './keys.js';
import { PARTITIONS } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';

const PUT_ATTEMPTS = 10;

type Found = [
  provider: string,
  generation: string,
  sealedSecret: string,
  sealedAccess: string,
  refreshedAtMs: string,
  sendingSinceMs: string,
  notBeforeMs: string,
  state: UpstreamGrant['state'],
  nowMs: number,
];

/** Grants in Redis, each a hash beside its login's, gone with it. Each verb is one script, in scripts/upstream-*.lua. */
export class RedisUpstreamGrants implements UpstreamGrants {
  readonly #connection: RedisConnection;
  readonly #keys: Keys;
  readonly #scripts: Scripts;

  constructor(connection: RedisConnection, { maxAuditEvents }: { maxAuditEvents: number }) {
    this.#connection = connection;
    this.#keys = connection.keys;
    this.#scripts = new Scripts(connection.commands, {
      MAX_AUDIT_EVENTS: Math.ceil(maxAuditEvents / PARTITIONS),
    });
  }

  async put(
    handle: string,
    { provider, seal }: { provider: string; seal(generation: number): string },
  ): Promise<boolean> {
    // A seal names its generation, so it is made anew when another came first.
    for (let attempt = 0; attempt < PUT_ATTEMPTS; attempt += 1) {
      const { grant } = await this.read(handle);
      const generation = grant?.generation ?? 0;
      const keys = [...this.#grantKeys(handle), this.#keys.login(handle)];
      const reply = await this.#run('upstream-put', keys, [handle, generation, provider, seal(generation + 1)]);
      if (reply !== -1) return reply === 1;
    }
    throw new HoldfastError('upstream_busy', 'the grant is being replaced by others');
  }

  async read(handle: string): Promise<{ grant?: UpstreamGrant; nowMs: number }> {
    const reply = await this.#run('upstream-read', [this.#keys.upstream(handle)], []);
    const [first, generation, sealedSecret, sealedAccess, refreshedAt, sendingSince, notBefore, state, nowMs] =
      reply as Found;
    if (typeof first === 'number') return { nowMs: first };
    const grant: UpstreamGrant = {
      provider: first,
      generation: Number(generation),
      sealedSecret,
      sealedAccess,
      refreshedAtMs: Number(refreshedAt),
      sendingSinceMs: Number(sendingSince),
      notBeforeMs: Number(notBefore),
      state,
    };
    return { grant, nowMs };
  }

  async begin(handle: string, found: Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>): Promise<number> {
    const args = [found.generation, found.sendingSinceMs, randomUUID()];
    return (await this.#run('upstream-begin', [this.#keys.upstream(handle)], args)) as number;
  }

  async commit(
    handle: string,
    generation: number,
    { sealedSecret, sealedAccess }: { sealedSecret: string; sealedAccess: string },
  ): Promise<boolean> {
    const args = [handle, generation, sealedSecret, sealedAccess];
    return (await this.#run('upstream-commit', this.#grantKeys(handle), args)) === 1;
  }

  async fail(
    handle: string,
    { generation, sendingSinceMs }: Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>,
    failure: UpstreamFailure,
  ): Promise<boolean> {
    const retryAfterMs = failure === 'reauth_required' ? '' : failure.retryAfterMs;
    const args = [handle, generation, sendingSinceMs, retryAfterMs];
    return (await this.#run('upstream-fail', this.#grantKeys(handle), args)) === 1;
  }

  #grantKeys(handle: string): string[] {
    return [this.#keys.upstream(handle), this.#keys.audit(handle)];
  }

  #run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#connection.telemetry, name, () => this.#scripts.run(name, keys, args));
  }
}
