import type { Config } from '../config.js';
import { parseSecrets } from '../crypto/secrets.js';
import type { JwtOptions } from '../login/jwt.js';
import { JWT_ALGORITHMS, publicKeys } from '../login/jwt-keys.js';
import { integer, listOf, oneOf, parsed, secrets, secureWebUrl, settingInfo, text } from './kinds.js';

const claim = () => text(/^.{1,512}$/, '1 to 512 characters');

/** How the application's own JWTs are verified. */
export const jwtSettings = {
  jwtSecret: secrets()
    .optional()
    .register(settingInfo, { help: 'secret (HS256 …) with which the application signs its JWTs', secret: true }),
  jwtPublicKey: parsed('public keys as PEM (BEGIN PUBLIC KEY), one after the other', publicKeys)
    .optional()
    .register(settingInfo, {
      help: 'PEM of public keys that the JWTs are verified with (also HOLDFAST_JWT_PUBLIC_KEY_FILE)',
      defaultText: 'none',
      multiline: true,
    }),
  jwtJwksUrl: secureWebUrl()
    .optional()
    .register(settingInfo, { help: 'where the keys of the JWTs are published (JWKS)', defaultText: 'none' }),
  jwtAlgorithms: listOf(oneOf(JWT_ALGORITHMS), JWT_ALGORITHMS.length)
    .min(1, { error: `at least one of ${JWT_ALGORITHMS.join(', ')}` })
    .optional()
    .register(settingInfo, { help: 'algorithms that JWTs may be signed with', defaultText: 'all that fit the keys' }),
  jwtType: text(/^[A-Za-z0-9!#$&^_.+/-]{1,64}$/, 'a media type such as at+jwt')
    .optional()
    .register(settingInfo, { help: 'what the typ of a JWT must be', defaultText: 'JWT, or none' }),
  jwtIssuer: claim()
    .optional()
    .register(settingInfo, { help: 'what the iss of a JWT must be', defaultText: 'anything' }),
  jwtAudience: claim()
    .optional()
    .register(settingInfo, { help: 'what the aud of a JWT must be or contain', defaultText: 'anything' }),
  jwtClockToleranceMs: integer(0, 300_000)
    .default(5_000)
    .register(settingInfo, { help: 'how far the clock of the issuer of JWTs may be off', unit: 'ms' }),
};

/** What verifies the application's JWTs; undefined where no key is given. */
export function jwtOptions(config: Config): JwtOptions | undefined {
  const { jwtSecret, jwtPublicKey, jwtJwksUrl, jwtAlgorithms, jwtType, jwtIssuer, jwtAudience } = config;
  const rules = {
    clockToleranceMs: config.jwtClockToleranceMs,
    ...(jwtAlgorithms && { algorithms: jwtAlgorithms }),
    ...(jwtType !== undefined && { type: jwtType }),
    ...(jwtIssuer !== undefined && { issuer: jwtIssuer }),
    ...(jwtAudience !== undefined && { audience: jwtAudience }),
  };
  if (jwtSecret !== undefined) {
    return { ...rules, secrets: parseSecrets(jwtSecret).map(({ value }) => Buffer.from(value)) };
  }
  if (jwtPublicKey !== undefined) return { ...rules, publicKeys: jwtPublicKey };
  if (jwtJwksUrl === undefined) return undefined;
  return { ...rules, jwksUrl: jwtJwksUrl, allowLoopbackHttp: config.allowLoopbackHttp };
}
