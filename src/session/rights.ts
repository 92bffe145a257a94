/** Rights per session (R1): what a token's claims, the config's rules or open access allow. No rule means no. */
import { ANONYMOUS_PREFIX } from './machine.js';

export const RIGHTS = ['watch', 'own', 'send', 'signal', 'force'] as const;
export type Right = (typeof RIGHTS)[number];

/** Allows something on the sessions whose id matches `sessions`, a pattern in which `*` stands for any characters. */
export interface RightsRule {
  sessions: string;
  allow: readonly Right[];
}

/** A rule of the config, for the principals that match `principals`; `{principal}` in `sessions` is the caller's own. */
export interface PrincipalRule extends RightsRule {
  principals: string;
}

export interface SessionRights {
  allows(right: Right, sessionId: string): boolean;
}

interface CompiledRule {
  sessions: RegExp;
  allow: ReadonlySet<Right>;
}

function patternOf(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.|?+()[\]{}]/g, '\\$&').replace(/\*+/g, '.*');
  return new RegExp(`^${escaped}$`, 's');
}

/** `*` in the principal is data here, not a pattern. */
function ownSessions(pattern: string, principal: string): RegExp {
  const parts = pattern.split('{principal}').map((part) => patternOf(part).source.slice(1, -1));
  const own = principal.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
  return new RegExp(`^${parts.join(own)}$`, 's');
}

/**
 * @param claims rules out of the token, for its bearer alone
 * @param rules rules of the config, for everyone
 */
export function rightsOf(
  principal: string,
  claims: readonly RightsRule[],
  rules: readonly PrincipalRule[],
): SessionRights {
  const compiled: CompiledRule[] = claims.map((rule) => ({
    sessions: patternOf(rule.sessions),
    allow: new Set(rule.allow),
  }));
  for (const rule of rules) {
    // An anonymous principal is made by the gateway at random: no rule can mean one of them, only all.
    const pattern = principal.startsWith(ANONYMOUS_PREFIX) ? ANONYMOUS_PREFIX : principal;
    if (!patternOf(rule.principals).test(pattern)) continue;
    compiled.push({ sessions: ownSessions(rule.sessions, principal), allow: new Set(rule.allow) });
  }
  return {
    allows: (right, sessionId) => compiled.some((rule) => rule.allow.has(right) && rule.sessions.test(sessionId)),
  };
}

/** `--access open`: everything but `force`. */
export const OPEN_RIGHTS: SessionRights = { allows: (right) => right !== 'force' };

/** `dev`: everything. */
export const ALL_RIGHTS: SessionRights = { allows: () => true };
