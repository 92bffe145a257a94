import { Command } from 'commander';
import type { SettingName } from '../config.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import { refuse } from '../protocol/validate.js';
import { Keys } from '../store/redis/keys.js';
import { outboxLiterals } from '../store/redis/outbox-settings.js';
import { scriptText } from '../store/redis/scripts.js';
import { parseRedisUrl } from '../store/redis/url.js';
import { addSettings, readSettings } from './settings.js';

const USED = ['redisUrl', 'redisPrefix', 'eventsUrl', 'sessionIdleMs'] as const satisfies SettingName[];

/** For processes in other languages that publish without a gateway in between. */
export function printScriptCommand(): Command {
  const command = new Command('print-script')
    .description(
      'print the Redis script that publishes messages, as these settings make it; docs/messages.md says how to call it',
    )
    .option('--keys <session>', 'print the KEYS for that session instead, one a line');
  return addSettings(command, {}, USED).action(() => {
    const { config } = readSettings(command, {}, USED);
    const session = command.opts<{ keys?: string }>().keys;
    if (session === undefined) {
      const cluster = config.redisUrl !== undefined && parseRedisUrl(config.redisUrl).kind === 'cluster';
      const outbox = config.eventsUrl === undefined ? undefined : { sessionIdleMs: config.sessionIdleMs };
      const settings = { PUBLISH: cluster ? 'SPUBLISH' : 'PUBLISH', ...outboxLiterals(outbox) };
      process.stdout.write(scriptText('append', settings));
      return;
    }
    if (!isSessionId(session)) refuse('--keys', SESSION_ID_RULE);
    const keys = new Keys(config.redisPrefix);
    process.stdout.write(`${[keys.owner(session), keys.position(session), keys.log(session)].join('\n')}\n`);
  });
}
