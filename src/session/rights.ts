/** Rights per session (R1): what a token's claims, the config's rules or open access allow. No rule means no. */
import { namespaceOf } from '../protocol/session-id.js';
import { ANONYMOUS_PREFIX } from './record.js';

export const RIGHTS = ['watch', 'own', 'send', 'signal', 'force'] as const;
export type Right = (typeof RIGHTS)[number];

/** Allows something on the sessions whose id matches `sessions`, a pattern in which `*` stands for any characters. */
export interface RightsRule {
  sessions: string;
  allow: readonly Right[];
}

/**
 * A rule of the config, for the principals that match `principals`, on sessions that match a pattern, in which
 * `{principal}` is the caller's own, or on all of one namespace.
 */
export type PrincipalRule = { principals: string; allow: readonly Right[] } & (
  | { sessions: string }
  | { namespace: string }
);

export interface SessionRights {
  allows(right: Right, sessionId: string): boolean;
}

/** The literal parts between the asterisks. Matched by search, since a regular expression could be made to backtrack. */
type Pattern = readonly string[];

function patternOf(pattern: string): Pattern {
  return pattern.split('*');
}

function matches(pattern: Pattern, text: string): boolean {
  const [first = '', ...rest] = pattern;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

interface CompiledRule {
  covers: (sessionId: string) => boolean;
  allow: ReadonlySet<Right>;
}

function compile(sessions: Pattern, allow: readonly Right[]): CompiledRule {
  return { covers: (sessionId) => matches(sessions, sessionId), allow: new Set(allow) };
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
  const compiled = claims.map(({ sessions, allow }) => compile(patternOf(sessions), allow));
  for (const rule of rules) {
    // An anonymous principal is made by the gateway at random: no rule can mean one of them, only all.
    const name = principal.startsWith(ANONYMOUS_PREFIX) ? ANONYMOUS_PREFIX : principal;
    if (!matches(patternOf(rule.principals), name)) continue;
    if ('namespace' in rule) {
      const { namespace, allow } = rule;
      compiled.push({ covers: (sessionId) => namespaceOf(sessionId) === namespace, allow: new Set(allow) });
      continue;
    }
    // Put in after the split: an asterisk in a principal is no pattern.
    // Before its token is read, nobody knows whether an anonymous connection is the one that comes back.
    if (principal.startsWith(ANONYMOUS_PREFIX) && rule.sessions.includes('{principal}')) continue;
    const sessions = patternOf(rule.sessions).map((part) => part.replaceAll('{principal}', () => principal));
    compiled.push(compile(sessions, rule.allow));
  }
  return {
    allows: (right, sessionId) => compiled.some((rule) => rule.allow.has(right) && rule.covers(sessionId)),
  };
}

/** `--access open`: everything but `force`. */
export const OPEN_RIGHTS: SessionRights = { allows: (right) => right !== 'force' };

/** `dev`: everything. */
export const ALL_RIGHTS: SessionRights = { allows: () => true };
