import { parseWebhookSecret } from '../crypto/webhook-signature.js';
import { integer, parsed, settingInfo } from './kinds.js';

/** @throws TypeError unless each is a `whsec_` secret of 24 to 64 bytes */
export function parseHookSecrets(text: string): Buffer[] {
  return text.split(',').map((entry) => parseWebhookSecret(entry.trim()));
}

/** Calls to a service of the operator's own, signed: plain http is a choice. */
function hookUrl() {
  const allowed = 'an http or https URL without user name, password and fragment';
  return parsed(allowed, (value) => {
    const { protocol, username, password, hash } = new URL(value);
    if (!/^https?:$/.test(protocol)) throw new TypeError('not http or https');
    if (username + password + hash !== '') throw new TypeError('with user name, password or fragment');
  });
}

/** The application behind the gateway: what it is asked and told. */
export const hookSettings = {
  authorizeUrl: hookUrl().optional().register(settingInfo, {
    help: 'where the application is asked for rights that no rule gives',
    defaultText: 'off',
  }),
  authorizeTtlMs: integer(1_000, 3_600_000)
    .default(30_000)
    .register(settingInfo, { help: 'how long its answer holds when it does not say', unit: 'ms' }),
  messageUrl: hookUrl()
    .optional()
    .register(settingInfo, { help: 'where the application decides about messages of owners', defaultText: 'off' }),
  eventsUrl: hookUrl().optional().register(settingInfo, { help: 'where events are delivered', defaultText: 'off' }),
  hookSecret: parsed('one secret whsec_<base64 of 24 to 64 bytes>, or a list of them', parseHookSecrets)
    .optional()
    .register(settingInfo, { help: 'secret with which requests to the application are signed', secret: true }),
  hookTimeoutMs: integer(100, 60_000)
    .default(3_000)
    .register(settingInfo, { help: 'how long the application may take to answer', unit: 'ms' }),
  hookConcurrency: integer(1, 1_000)
    .default(64)
    .register(settingInfo, { help: 'requests to the application at the same time, of each kind' }),
  sessionIdleMs: integer(0, 30 * 86_400_000)
    .default(0)
    .register(settingInfo, {
      help: 'after which a session without owner and messages is told idle; 0: never',
      unit: 'ms',
    }),
};
