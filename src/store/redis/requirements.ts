import type { Redis } from 'ioredis';
import type { RedisClient, RedisConnection } from './client.js';
import { messageOf, RedisRequirementError } from './errors.js';
import type { RedisTarget } from './url.js';

const MIN_MAJOR = 7;

/**
 * Checks every master: Redis 7.0 or later, a master, `noeviction`, reached by the right kind of URL.
 * @throws RedisRequirementError with one line on what to do
 */
export async function checkRequirements(connection: RedisConnection): Promise<void> {
  const masters = connection.masters();
  const infos = await Promise.all(
    masters.map((master) =>
      master.info().catch((error: unknown) => {
        throw new RedisRequirementError(explain(error, addressOf(master)));
      }),
    ),
  );
  for (const [i, master] of masters.entries()) check(infos[i] ?? '', addressOf(master), connection.kind);
}

function addressOf({ options, stream }: Redis): string {
  // What the Sentinels named is known only to the socket.
  const { host, port } = options.sentinels ? { host: stream.remoteAddress, port: stream.remotePort } : options;
  return `Redis at ${host ?? 'localhost'}:${port ?? 6379}`;
}

function check(info: string, redis: string, kind: RedisTarget['kind']): void {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const version = field('redis_version');
  const policy = field('maxmemory_policy');
  if (Number.parseInt(version, 10) < MIN_MAJOR) {
    throw new RedisRequirementError(`${redis} is version ${version}; Holdfast needs ${MIN_MAJOR}.0 or later`);
  }
  if (field('cluster_enabled') === '1' && kind !== 'cluster') {
    throw new RedisRequirementError(`${redis} is part of a Cluster; use a redis+cluster:// URL`);
  }
  if (field('role') !== 'master') {
    throw new RedisRequirementError(`${redis} is a replica; use the master's address or a redis+sentinel:// URL`);
  }
  if (policy !== 'noeviction') {
    const remedy = 'set maxmemory-policy noeviction, since an evicted record would lose a session its owner';
    throw new RedisRequirementError(`${redis} has maxmemory-policy ${policy}; ${remedy}`);
  }
}

function explain(error: unknown, redis: string): string {
  const message = messageOf(error);
  if (/WRONGPASS|invalid (username-)?password|without any password/i.test(message)) {
    return `${redis} refuses the user name or the password; correct them in the Redis URL`;
  }
  if (message.includes('NOAUTH')) return `${redis} asks for a password; put it into the Redis URL`;
  if (message.includes('NOPERM')) return `${redis} denies the user a command; grant it +@all on Holdfast's keys`;
  if (message.includes('LOADING')) return `${redis} is still loading its data; try again when it is done`;
  if (message.includes('cluster support disabled')) return `${redis} is no Cluster; use a redis:// URL`;
  return `${redis} cannot be reached (${message}); check that it runs and that the Redis URL is right`;
}

/** Errors that another try will not mend. */
const FINAL = /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password|cluster support disabled/i;

/** Resolves when the client can send commands; rejects on a final error, or with the last one after `withinMs`. */
export function firstReady(client: RedisClient, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: Error | undefined;
    const settle = (done: () => void) => {
      clearTimeout(timer);
      client.off('ready', onReady).off('error', onError).off('node error', onError);
      done();
    };
    const onReady = () => settle(resolve);
    const onError = (error: Error) => {
      // What follows from an earlier error explains nothing.
      if (last === undefined || !messageOf(error).includes('Connection is closed.')) last = error;
      if (FINAL.test(messageOf(error))) settle(() => reject(error));
    };
    const onInfo = (info: string) => {
      if (info.includes('\nloading:1')) last = new Error('LOADING');
    };
    const timer = setTimeout(async () => {
      // Connected and yet not ready: ioredis waits while Redis loads its data, and does not say so.
      if (client.status === 'connect') await client.info('persistence').then(onInfo, onError);
      settle(() => reject(last ?? new Error(`no answer within ${withinMs} ms`)));
    }, withinMs);
    client.on('ready', onReady).on('error', onError).on('node error', onError);
  });
}

/** Why the first connection failed, as a line for the operator. */
export function connectFault(error: unknown, { kind, nodes, name }: RedisTarget): RedisRequirementError {
  const addresses = nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  const group = kind === 'sentinel' ? `'s Sentinels for "${name}"` : '';
  return new RedisRequirementError(explain(error, `Redis${group} at ${addresses}`));
}
