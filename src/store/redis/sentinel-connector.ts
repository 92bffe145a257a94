import { type Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';

/** ioredis keeps it to itself. */
interface Internal {
  connectToSentinel(...args: unknown[]): Redis;
}

/**
 * What finds the master for a Sentinel client, with a listener for the errors of its connections to the Sentinels. Those
 * that wait for the news of a failover have none in ioredis, which then writes each error to stderr.
 */
export function sentinelConnector(onError: (error: Error) => void): NonNullable<RedisOptions['Connector']> {
  return class extends SentinelConnector {
    constructor(options: unknown) {
      super(options as SentinelConnectionOptions);
      const internal = this as unknown as Internal;
      const connect = internal.connectToSentinel.bind(this);
      internal.connectToSentinel = (...args) => connect(...args).on('error', onError);
    }
  };
}
