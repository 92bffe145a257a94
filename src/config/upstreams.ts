/** OAuth 2.0 providers whose grants logins may carry. */
import { z } from 'zod';
import type { Config } from '../config.js';
import type { UpstreamProvider } from '../login/upstream-request.js';
import { integer, oneOf, secureWebUrl, settingInfo, text, yesOrNo } from './kinds.js';

/** The provider that the single settings describe, and that a request without a name means. */
export const DEFAULT_UPSTREAM = 'default';

/** RFC 6749 appendix A. */
const clientId = () => text(/^[\x20-\x7e]{1,512}$/, '1 to 512 ASCII characters');
const clientSecret = () => text(/^[\x20-\x7e]{1,4096}$/, '1 to 4096 ASCII characters');
const SCOPE = /^(?=.{1,1024}$)[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

const upstream = z
  .strictObject(
    {
      tokenUrl: secureWebUrl(),
      issuer: secureWebUrl().optional(),
      clientId: clientId(),
      clientSecret: clientSecret().optional(),
      clientAuth: oneOf(['basic', 'post', 'none']).optional(),
      dpop: yesOrNo().default(false),
      scope: text(SCOPE, 'scopes with one space between them').optional(),
      exposeAccessToken: yesOrNo().default(false),
      timeoutMs: integer(100, 30_000).default(10_000),
      freshMs: integer(0, 600_000).default(30_000),
    },
    { error: 'an object with tokenUrl, clientId and others' },
  )
  .refine(({ clientAuth, clientSecret: secret }) => clientAuth === undefined || (clientAuth === 'none') !== !!secret, {
    path: ['clientAuth'],
    error: 'basic or post with a clientSecret, none without',
  });

export const UPSTREAM_KEYS = Object.keys(upstream.shape);

export const upstreamSettings = {
  upstreamTokenUrl: secureWebUrl()
    .optional()
    .register(settingInfo, {
      help: `token endpoint of the OAuth 2.0 provider \`${DEFAULT_UPSTREAM}\``,
      defaultText: 'none',
    }),
  upstreamIssuer: secureWebUrl()
    .optional()
    .register(settingInfo, { help: 'issuer of that provider', defaultText: 'none' }),
  upstreamClientId: clientId()
    .optional()
    .register(settingInfo, { help: 'client id at that provider', defaultText: 'none' }),
  upstreamClientSecret: clientSecret()
    .optional()
    .register(settingInfo, { help: 'client secret at the OAuth 2.0 provider', secret: true }),
  upstreamExposeAccessToken: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether pages get access tokens of that provider, or the backend alone' }),
  upstreams: z
    .record(
      text(/^[A-Za-z0-9._-]{1,64}$/, 'the name of a provider: 1 to 64 characters out of A-Z a-z 0-9 . _ -'),
      upstream,
      {
        error: 'an object of providers',
      },
    )
    .default({})
    .register(settingInfo, { help: 'further OAuth 2.0 providers by name', fileOnly: true, defaultText: 'none' }),
  allowLoopbackHttp: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether URLs of providers and keys may be http:// on this machine, for tests' }),
};

/** Every provider by name: those of `upstreams` and the one that the single settings describe. */
export function upstreamProviders(config: Config): Map<string, UpstreamProvider> {
  const given = Object.entries(config.upstreams);
  const { upstreamTokenUrl: tokenUrl, upstreamClientId: id } = config;
  if (tokenUrl !== undefined && id !== undefined) {
    const {
      upstreamIssuer: issuer,
      upstreamClientSecret: secret,
      upstreamExposeAccessToken: exposeAccessToken,
    } = config;
    const single = { tokenUrl, clientId: id, exposeAccessToken, ...(issuer && { issuer }) };
    given.push([DEFAULT_UPSTREAM, upstream.parse({ ...single, ...(secret && { clientSecret: secret }) })]);
  }
  return new Map(
    given.map(([name, { clientAuth, ...provider }]) => {
      const usual = provider.clientSecret === undefined ? 'none' : 'basic';
      return [name, { ...provider, clientAuth: clientAuth ?? usual }];
    }),
  );
}
