import type { OwnershipState } from '../../protocol/messages.js';
import type {
  ClaimOutcome,
  ClaimRequest,
  ClaimResult,
  ConnectionRef,
  JoinedView,
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
import { type Batched, inBatches } from './batches.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import type { Keys } from './keys.js';
import { type OutboxSettings, outboxLiterals } from './outbox-settings.js';
import { PARTITIONS, partitionOf } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';
import { streamState } from './stream-state.js';
import type { StoreTelemetry } from './telemetry.js';

const VIEW_FIELDS = 8;

type View = [
  state: OwnershipState,
  epoch: string | number,
  rev: string | number,
  connectionId: string,
  nodeId: string,
  principal: string,
  deadlineMs: string | number,
  nowMs: number,
];

type Claimed = [
  result: ClaimResult,
  replayed: number,
  tokenExpired: number,
  tokenHash: string,
  retryAfterMs: number,
  ...viewAndStream: [...View, string],
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
  readonly #client: RedisConnection['commands'];

  /** @param outbox absent: nobody is told of what happens to sessions */
  constructor(
    connection: RedisConnection,
    timings: OwnershipTimings,
    telemetry: StoreTelemetry,
    outbox?: OutboxSettings,
  ) {
    this.#client = connection.commands;
    this.#keys = connection.keys;
    this.#scripts = new Scripts(connection.commands, {
      MAX_SWEEP_GAP_MS: timings.maxSweepGapMs,
      ATTEMPT_WINDOW_MS: timings.attemptWindowMs,
      RETENTION_MS: timings.retentionMs,
      HANDOVER_PATIENCE_MS: timings.handoverPatienceMs,
      BUSY_EXTENSION_MS: timings.busyExtensionMs,
      PUBLISH: connection.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH',
      ...outboxLiterals(outbox),
    });
    this.#telemetry = telemetry;
  }

  async read(sessionId: string, watcher?: ConnectionRef): Promise<JoinedView> {
    const keys = [...this.#recordKeys(sessionId), this.#keys.watchers(sessionId), this.#keys.position(sessionId)];
    const reply = (await this.#run('read', keys, [sessionId, watcher?.connectionId ?? ''])) as [...View, string];
    return { ...viewOf(reply), stream: streamState(reply[VIEW_FIELDS]) };
  }

  async peek(sessionIds: readonly string[]): Promise<(SessionView | undefined)[]> {
    const { results } = await inBatches(
      sessionIds,
      (sessionId) => sessionId,
      async (_partition, batch) => {
        const keys = batch.map((sessionId) => this.#keys.owner(sessionId));
        const views = (await this.#run('peek', keys, [])) as unknown[];
        return batch.map((_, i) => viewOf(views.slice(i * VIEW_FIELDS, (i + 1) * VIEW_FIELDS) as View));
      },
    );
    return results;
  }

  claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.#claim('claim', request, [request.mode]);
  }

  reclaim(request: ReclaimRequest): Promise<ClaimOutcome> {
    return this.#claim('reclaim', request, [request.presentedTokenHash, request.claimIfExpired ? 1 : 0]);
  }

  async renew(leases: readonly LeaseRef[], leaseMs: number): Promise<RenewResult[]> {
    const { results } = await this.#onLeases('renew', leases, leaseMs);
    return results.map((letter) => RENEW_RESULTS[letter ?? ''] ?? 'unavailable');
  }

  async hold(leases: readonly LeaseRef[], holdMs: number): Promise<boolean[]> {
    const { results, failure } = await this.#onLeases('hold', leases, holdMs);
    // Repeating those that are held already does nothing.
    if (failure !== undefined) throw failure;
    return results.map((letter) => letter === 'h');
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const keys = [...this.#recordKeys(request.sessionId), this.#keys.watchers(request.sessionId)];
    const waits = request.staysWatching && request.policy === 'oldest_watcher';
    const { sessionId, requestId, connectionId, epoch, reason } = request;
    return (await this.#run('release', keys, [sessionId, requestId, connectionId, epoch, reason, waits ? 1 : 0])) === 1;
  }

  async transfer(request: TransferRequest): Promise<{ result: TransferResult; view: SessionView }> {
    const { sessionId, target = NOBODY, lockValue, expectedEpoch, reason } = request;
    const args = [...grantArgs(request, target), lockValue, expectedEpoch, reason];
    const reply = await this.#run('transfer', this.#sessionKeys(sessionId), args);
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

  async #claim(
    verb: 'claim' | 'reclaim',
    request: ClaimRequest | ReclaimRequest,
    more: readonly (string | number)[],
  ): Promise<ClaimOutcome> {
    const args = [...grantArgs(request, request), request.policy, request.principalRule, request.lockValue, ...more];
    const keys = [...this.#sessionKeys(request.sessionId), this.#keys.position(request.sessionId)];
    const reply = await this.#run(verb, keys, args);
    const [result, replayed, tokenExpired, tokenHash, retryAfterMs, ...view] = reply as Claimed;
    const stream = streamState(view[VIEW_FIELDS]);
    return {
      result,
      replayed: replayed === 1,
      tokenExpired: tokenExpired === 1,
      tokenHash,
      retryAfterMs,
      view: viewOf(view),
      stream,
    };
  }

  /** @returns a letter for each lease, as renew.lua and hold.lua say */
  #onLeases(verb: 'renew' | 'hold', leases: readonly LeaseRef[], ms: number): Promise<Batched<string>> {
    return inBatches(
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

  #run(verb: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return call(this.#telemetry, verb, () => this.#scripts.run(verb, keys, args));
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

type Grantee = NonNullable<TransferRequest['target']>;

/** The target of a transfer that frees the session. */
const NOBODY: Grantee = {
  connectionId: '',
  nodeId: '',
  bootId: '',
  principal: '',
  tokenHash: '',
  attemptHash: '',
  leaseMs: 0,
};

/** In the order of scripts/grant.lua. */
function grantArgs(request: { sessionId: string; requestId: string }, to: Grantee): (string | number)[] {
  return [
    request.sessionId,
    request.requestId,
    to.connectionId,
    to.nodeId,
    to.bootId,
    to.principal,
    to.tokenHash,
    to.attemptHash,
    to.leaseMs,
  ];
}

function viewOf([state, epoch, rev, connectionId, nodeId, principal, deadlineMs, nowMs]:
  | Readonly<View>
  | readonly [...View, string]): SessionView {
  return {
    state,
    epoch: Number(epoch),
    rev: Number(rev),
    connectionId,
    nodeId,
    principal,
    deadlineMs: Number(deadlineMs),
    nowMs,
  };
}
