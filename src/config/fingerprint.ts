import { createHash } from 'node:crypto';
import { type Config, SETTING_NAMES, type SettingName } from '../config.js';
import { MacKey, parseSecrets } from '../crypto/secrets.js';
import type { KeyPrints } from '../ops/ports.js';
import { masked } from './show.js';

/** What is each node's own. */
const OWN: ReadonlySet<SettingName> = new Set(['nodeId', 'host', 'port', 'internalHost', 'internalPort']);

/** The same for nodes with the same settings. Of a secret it says only that there is one. */
export function configFingerprint(config: Config): string {
  const shared = SETTING_NAMES.filter((name) => !OWN.has(name));
  const text = JSON.stringify(shared.map((name) => [name, masked(name, config[name]) ?? null]));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Of the keys behind tokens; undefined where the secret is made up at the start. */
export function keyPrints({ secret, signingKeys }: Pick<Config, 'secret' | 'signingKeys'>): KeyPrints | undefined {
  if (secret === undefined) return undefined;
  const sets = [secret, ...(signingKeys === undefined ? [] : [signingKeys])].map((text) =>
    parseSecrets(text).map(({ value }) => new MacKey(value, 'fingerprint').mac().toString('hex').slice(0, 12)),
  );
  return { signs: sets.flatMap((set) => set.slice(0, 1)), verifies: sets.flat() };
}
