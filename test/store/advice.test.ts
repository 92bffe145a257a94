import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { adviceOn } from '../../src/store/redis/advice.js';
import { unavailable } from '../../src/store/redis/errors.js';

it.each([
  ['WRONGPASS invalid username-password pair or user is disabled.', 'redis_credentials'],
  ['NOAUTH Authentication required.', 'redis_credentials'],
  ["NOPERM this user has no permissions to run the 'evalsha' command", 'redis_permission'],
  ['ERR ACL failure in script: No permissions to access a key', 'redis_permission'],
  ["ERR The user executing the script can't publish to the channel mentioned in the command", 'redis_permission'],
  ['LOADING Redis is loading the dataset in memory', 'redis_loading'],
  ["READONLY You can't write against a read only replica.", 'redis_read_only'],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'redis_not_saving'],
  ['NOREPLICAS Not enough good replicas to write.', 'redis_too_few_replicas'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'redis_out_of_memory'],
  ['CLUSTERDOWN The cluster is down', 'redis_no_master'],
  ['ERR DB index is out of range', 'redis_database'],
  ['getaddrinfo ENOTFOUND redis.invalid', 'redis_unknown_host'],
  ['connect EMFILE 127.0.0.1:6379 - Local (undefined:undefined)', 'file_descriptors'],
  ['self-signed certificate', 'redis_tls'],
  ['Unknown RESP type 72 "H". Please report this.', 'redis_protocol'],
  ["ERR unknown command 'evalsha'", 'redis_command'],
  ['connect ECONNREFUSED 127.0.0.1:6379', 'redis_unreachable'],
])('%s', (message, code) => {
  const advice = adviceOn(new Error(message));
  expect(advice).toMatchObject({ code, cause: message });
  expect([advice.what, advice.remedy]).toEqual([
    expect.stringMatching(/^Redis [a-z]/),
    expect.stringMatching(/^[a-z]/),
  ]);
});

it('looks at what a failed call was caused by', () => {
  expect(adviceOn(unavailable(new Error('READONLY You cannot'))).code).toBe('redis_read_only');
  expect(adviceOn(new HoldfastError('store_unavailable', 'away')).code).toBe('redis_unreachable');
});
