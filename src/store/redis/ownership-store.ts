import type { OwnershipState } from '../../protocol/messages.js';
import type {
  ClaimOutcome,
  ClaimRequest,
  ClaimResult,
  ConnectionRef,
  LeaseRef,
  OwnershipStore,
  OwnershipTimings,
  ReclaimRequest,
  ReleaseRequest,
  RenewResult,
  SessionView,
  SweepOutcome,
  TransferRequest,
  TransferResult,
} from '../../session/ports.js';
import { byPartition } from './batches.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import type { Keys } from './keys.js';
import { PARTITIONS, partitionOf } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';
import type { StoreTelemetry } from './telemetry.js';

const VIEW_FIELDS = 8;

type View = [
  state: OwnershipState,
  epoch: string,
  rev: string,
  connectionId: string,
  nodeId: string,
  principal: string,
  deadlineMs: string,
  nowMs: string,
];

type Claimed = [
  result: ClaimResult,
  replayed: number,
  tokenExpired: number,
  tokenHash: string,
  retryAfterMs: number,
  ...view: View,
];

const RENEW_RESULTS: Readonly<Record<string, RenewResult>> = { r: 'renewed', l: 'lost', m: 'missing' };

/**
 * Ownership in Redis. Each verb is one script call, in scripts/*.lua, that mirrors the state machine; a call whose
 * outcome is unknown is sent again with the same request id.
 */
export class RedisOwnershipStore implements OwnershipStore {
  readonly partitions = PARTITIONS;
  readonly #keys: Keys;
  readonly #scripts: Scripts;
  readonly #telemetry: StoreTelemetry;
  /** The first argument of every script. */
  readonly #context: string;
  readonly #client: RedisConnection['commands'];

  constructor(connection: RedisConnection, timings: OwnershipTimings, telemetry: StoreTelemetry) {
    this.#client = connection.commands;
    this.#keys = connection.keys;
    this.#scripts = new Scripts(connection.commands);
    this.#telemetry = telemetry;
    const publish = connection.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH';
    this.#context = JSON.stringify({ ...timings, publish });
  }

  async read(sessionId: string, watcher?: ConnectionRef): Promise<SessionView> {
    const keys = [...this.#recordKeys(sessionId), this.#keys.watchers(sessionId)];
    return viewOf((await this.#run('read', keys, [sessionId, watcher?.connectionId ?? ''])) as View);
  }

  async peek(sessionIds: readonly string[]): Promise<SessionView[]> {
    return this.#batched(
      sessionIds,
      (sessionId) => sessionId,
      async (_partition, batch) => {
        const keys = batch.map((sessionId) => this.#keys.owner(sessionId));
        const views = (await this.#run('peek', keys, [])) as string[];
        return batch.map((_, i) => viewOf(views.slice(i * VIEW_FIELDS, (i + 1) * VIEW_FIELDS) as View));
      },
    );
  }

  claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.#claim('claim', request);
  }

  reclaim(request: ReclaimRequest): Promise<ClaimOutcome> {
    return this.#claim('reclaim', request);
  }

  async renew(leases: readonly LeaseRef[], leaseMs: number): Promise<RenewResult[]> {
    const letters = await this.#onLeases('renew', leases, leaseMs);
    return letters.map((letter) => RENEW_RESULTS[letter] ?? 'lost');
  }

  async hold(leases: readonly LeaseRef[], holdMs: number): Promise<boolean[]> {
    const letters = await this.#onLeases('hold', leases, holdMs);
    return letters.map((letter) => letter === 'h');
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const keys = [...this.#recordKeys(request.sessionId), this.#keys.watchers(request.sessionId)];
    return (await this.#run('release', keys, [JSON.stringify(request)])) === 1;
  }

  async transfer(request: TransferRequest): Promise<{ result: TransferResult; view: SessionView }> {
    const reply = await this.#run('transfer', this.#sessionKeys(request.sessionId), [JSON.stringify(request)]);
    const [result, ...view] = reply as [TransferResult, ...View];
    return { result, view: viewOf(view) };
  }

  async unwatch(sessionId: string, connectionId: string): Promise<void> {
    const key = this.#keys.watchers(sessionId);
    await call(this.#telemetry, 'unwatch', () => this.#client.zrem(key, connectionId));
  }

  async sweep(partition: number, limit: number): Promise<SweepOutcome> {
    const args = [this.#keys.channelBase(partition), limit];
    const [guarded, more, ...released] = (await this.#run('sweep', this.#partitionKeys(partition), args)) as [
      number,
      number,
      ...string[],
    ];
    return { released, more: more === 1, guarded: guarded === 1 };
  }

  async #claim(verb: 'claim' | 'reclaim', request: ClaimRequest | ReclaimRequest): Promise<ClaimOutcome> {
    const reply = await this.#run(verb, this.#sessionKeys(request.sessionId), [JSON.stringify(request)]);
    const [result, replayed, tokenExpired, tokenHash, retryAfterMs, ...view] = reply as Claimed;
    return {
      result,
      replayed: replayed === 1,
      tokenExpired: tokenExpired === 1,
      tokenHash,
      retryAfterMs,
      view: viewOf(view),
    };
  }

  /** @returns a letter for each lease, as renew.lua and hold.lua say */
  #onLeases(verb: 'renew' | 'hold', leases: readonly LeaseRef[], ms: number): Promise<string[]> {
    return this.#batched(
      leases,
      ({ sessionId }) => sessionId,
      async (partition, batch) => {
        const keys = this.#partitionKeys(partition);
        const args: (string | number)[] = [ms];
        for (const { sessionId, connectionId, epoch } of batch) {
          keys.push(this.#keys.owner(sessionId));
          args.push(sessionId, connectionId, epoch);
        }
        return ((await this.#run(verb, keys, args)) as string).split('');
      },
    );
  }

  /** Runs `work` on batches of one partition each, all at once, and puts the results into the items' order. */
  async #batched<T, R>(
    items: readonly T[],
    sessionOf: (item: T) => string,
    work: (partition: number, batch: readonly T[]) => Promise<R[]>,
  ): Promise<R[]> {
    const results = new Array<R>(items.length);
    const batches = byPartition(items, sessionOf);
    await Promise.all(
      batches.map(async ({ partition, positions }) => {
        const batch = positions.map((position) => items[position] as T);
        const done = await work(partition, batch);
        for (const [i, position] of positions.entries()) results[position] = done[i] as R;
      }),
    );
    return results;
  }

  #run(verb: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#telemetry, verb, () => this.#scripts.run(verb, keys, [this.#context, ...args]));
  }

  #partitionKeys(partition: number): string[] {
    return [this.#keys.deadlines(partition), this.#keys.meta(partition)];
  }

  #recordKeys(sessionId: string): string[] {
    return [...this.#partitionKeys(partitionOf(sessionId)), this.#keys.owner(sessionId)];
  }

  #sessionKeys(sessionId: string): string[] {
    return [...this.#recordKeys(sessionId), this.#keys.lock(sessionId), this.#keys.watchers(sessionId)];
  }
}

function viewOf([state, epoch, rev, connectionId, nodeId, principal, deadlineMs, nowMs]: View): SessionView {
  return {
    state,
    epoch: Number(epoch),
    rev: Number(rev),
    connectionId,
    nodeId,
    principal,
    deadlineMs: Number(deadlineMs),
    nowMs: Number(nowMs),
  };
}
