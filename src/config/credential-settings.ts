import { listOf, oneOf, secrets, settingInfo, text, webOrigin, yesOrNo } from './kinds.js';

const AUTH_MODES = ['login', 'jwt', 'anonymous'] as const;

/** Secrets of the gateway, and how connections say who they are. */
export const credentialSettings = {
  secret: secrets()
    .optional()
    .register(settingInfo, { help: 'secret behind the tokens of the gateway, the same on all nodes', secret: true }),
  apiKey: text(/^[\x21-\x7e]{32,512}$/, '32 to 512 visible ASCII characters')
    .optional()
    .register(settingInfo, {
      help: 'key with which the backend of the application calls the gateway; without it nobody can',
      secret: true,
    }),
  adminKey: text(/^[\x21-\x7e]{32,512}$/, '32 to 512 visible ASCII characters')
    .optional()
    .register(settingInfo, {
      help: 'key for POST /drain and /undrain on the internal port; without it nobody may',
      secret: true,
    }),
  allowExampleSecrets: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'take the secrets of the examples, which everybody knows; never in production' }),
  auth: listOf(oneOf(AUTH_MODES), AUTH_MODES.length)
    .min(1, { error: `at least one of ${AUTH_MODES.join(', ')}` })
    .optional()
    .register(settingInfo, {
      help: 'how connections say who they are: login, jwt, anonymous',
      defaultText: 'must be stated',
    }),
  publicUrl: webOrigin(['http:', 'https:']).optional().register(settingInfo, {
    help: 'origin at which browsers reach the gateway; the iss of its access tokens',
    defaultText: 'holdfast',
  }),
};
