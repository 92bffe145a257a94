import type { Config } from '../config.js';
import { envName } from './names.js';

/**
 * What each value allows and all together do not.
 * @param stated whether secret and auth must have been given, as for `serve`
 */
export function conflicts(config: Config, stated: boolean): string[] {
  const { auth = [], access, rights, jwtSecret, secret, apiKey } = config;
  const problems: string[] = [];
  const check = (wrong: boolean, problem: string) => {
    if (wrong) problems.push(problem);
  };
  check(
    stated && secret === undefined,
    `${envName('secret')} is missing: make one with \`holdfast keygen\` and give the same to all nodes`,
  );
  check(stated && auth.length === 0, '--auth is missing: jwt (the application signs JWTs), anonymous, or both');
  check(
    auth.includes('jwt') && jwtSecret === undefined,
    `--auth jwt needs ${envName('jwtSecret')}, the secret with which the application signs its JWTs`,
  );
  check(
    access === 'rules' && rights.length === 0 && auth.length > 0 && !auth.includes('jwt'),
    '--access rules without any rule and without --auth jwt allows nobody anything: write rights into the file of ' +
      '--config, or say --access open',
  );
  check(
    access === 'open' && rights.length > 0,
    '--access open makes the rights of the file void: leave out one of them',
  );
  check(
    config.port === config.internalPort && config.port !== 0,
    `--port and --internal-port are both ${config.port}: they must differ`,
  );
  check(config.pongTimeoutMs >= config.pingIntervalMs, '--pong-timeout-ms must be less than --ping-interval-ms');
  const given = [secret, apiKey, jwtSecret].filter((value) => value !== undefined);
  check(
    new Set(given).size < given.length,
    `${envName('secret')}, ${envName('apiKey')} and ${envName('jwtSecret')} must differ: others know the last two`,
  );
  return problems;
}
