/** What errors of Redis mean for whoever runs the node. The one place where they are put into words. */
import type { Advice } from '../../ops/ports.js';
import { messageOf } from './errors.js';

type Entry = readonly [pattern: RegExp, code: string, what: string, remedy: string];

/** The first that matches counts. */
const ENTRIES: readonly Entry[] = [
  [
    /WRONGPASS|invalid (username-)?password|without any password/i,
    'redis_credentials',
    'refuses the user name or the password',
    'correct them in the Redis URL',
  ],
  [/NOAUTH/, 'redis_credentials', 'asks for a password', 'put it into the Redis URL'],
  // Inside of a script Redis says it in words.
  [
    /NOPERM|ACL failure in script|user executing the script can't/,
    'redis_permission',
    'denies the user a command, a key or a channel',
    "grant it +@all -@dangerous +info +role +cluster, ~ and & on Holdfast's prefix",
  ],
  [/LOADING/, 'redis_loading', 'is still loading its data', 'try again when it is done'],
  [/cluster support disabled/, 'redis_no_cluster', 'is no Cluster', 'use a redis:// URL'],
  [/DB index/i, 'redis_database', 'has no database of that number', 'correct the number at the end of the Redis URL'],
  [
    /READONLY/,
    'redis_read_only',
    'is a replica, which takes no writes',
    "use the master's address or a redis+sentinel:// URL; during a failover wait",
  ],
  [
    /MISCONF/,
    'redis_not_saving',
    'takes no writes since it cannot save its data',
    'make room on its disk; its own log says what failed',
  ],
  [
    /NOREPLICAS/,
    'redis_too_few_replicas',
    'takes no writes since it has fewer replicas than min-replicas-to-write',
    'bring the replicas back',
  ],
  [
    /\bOOM\b/,
    'redis_out_of_memory',
    'takes no writes since its maxmemory is used up',
    'raise it, or keep less: --history-age-ms, --history-bytes',
  ],
  [
    /MASTERDOWN|CLUSTERDOWN/,
    'redis_no_master',
    'has no master for a part of its data',
    'look at CLUSTER INFO, or SENTINEL masters',
  ],
  [
    /ENOTFOUND|EAI_AGAIN/,
    'redis_unknown_host',
    'has a host name that cannot be resolved',
    'check DNS and the Redis URL',
  ],
  [/EMFILE|ENFILE/, 'file_descriptors', 'cannot be connected to without a file descriptor', 'raise ulimit -n'],
  [
    /certificate|wrong version number|\bSSL\b|\bTLS\b/i,
    'redis_tls',
    'cannot be reached over TLS',
    'check its certificate, and that the URL says rediss:// where it speaks TLS and redis:// where it does not',
  ],
  [
    /unknown command/i,
    'redis_command',
    'does not know a command that is needed',
    'use Redis itself, 7.0 or later, without rename-command',
  ],
  [/RESP type|Protocol error/i, 'redis_protocol', 'does not speak the protocol of Redis', 'check host and port'],
];

/** @param error of a client of Redis, or what `call` made of one */
export function adviceOn(error: unknown): Advice {
  const cause = messageOf(error);
  const [, code, what, remedy] = ENTRIES.find(([pattern]) => pattern.test(cause)) ?? [
    undefined,
    'redis_unreachable',
    `cannot be reached (${cause})`,
    'check that it runs and that the Redis URL is right',
  ];
  return { code, what: `Redis ${what}`, remedy, cause };
}
