/** What the config says of each namespace, as the sessions ask for it. */
import type { Config } from './config.js';
import { namespaceOf } from './protocol/session-id.js';
import type { PrincipalRule } from './session/rights.js';
import { leaseMsOf, type SessionSettings } from './session/session-node.js';

type Overrides = Config['namespaces'][string];

function settings(config: Config, own: Overrides): SessionSettings {
  const graceMs = own.graceMs ?? config.graceMs;
  return {
    graceMs,
    leaseMs: leaseMsOf(graceMs),
    handoverPolicy: own.handoverPolicy ?? config.handoverPolicy,
    exposePrincipals: own.exposePrincipals ?? config.exposePrincipals,
    retention: {
      maxCount: own.historyCount ?? config.historyCount,
      maxBytes: own.historyBytes ?? config.historyBytes,
      maxAgeMs: own.historyAgeMs ?? config.historyAgeMs,
      whenFull: own.historyWhenFull ?? config.historyWhenFull,
    },
    maxMessageBytes: own.maxMessageBytes ?? config.maxMessageBytes,
    sendsPerSecond: own.sendsPerSecond ?? config.sendsPerSecond,
    presence: own.presence ?? config.presence,
    asks: {
      authorize: config.authorizeUrl !== undefined && own.authorizeHook !== false,
      message: config.messageUrl !== undefined && own.messageHook !== false,
    },
  };
}

export function settingsOf(config: Config): (sessionId: string) => SessionSettings {
  const common = settings(config, {});
  const own = new Map(
    Object.entries(config.namespaces).map(([name, overrides]) => [name, settings(config, overrides)]),
  );
  if (own.size === 0) return () => common;
  return (sessionId) => own.get(namespaceOf(sessionId)) ?? common;
}

/** The shortest and the longest grace period of any namespace, in ms. */
export function gracePeriods(config: Config): { shortest: number; longest: number } {
  const all = [config.graceMs, ...Object.values(config.namespaces).flatMap(({ graceMs }) => graceMs ?? [])];
  return { shortest: Math.min(...all), longest: Math.max(...all) };
}

export function hasPresence(config: Config): boolean {
  return config.presence || Object.values(config.namespaces).some(({ presence }) => presence === true);
}

/** The rules of the file, those of single namespaces included. */
export function rulesOf(config: Config): PrincipalRule[] {
  const ofNamespaces = Object.entries(config.namespaces).flatMap(([namespace, { rights = [] }]) =>
    rights.map((rule) => ({ ...rule, namespace })),
  );
  return [...config.rights, ...ofNamespaces];
}
