import { isObject, own } from '../protocol/validate.js';
import { RIGHTS, type Right, type RightsRule } from '../session/rights.js';

const MAX_RULES = 64;
/**
 * The characters of session ids, and `*`. Three wildcards at most keep matching cheap. Whole runs of `*` only, or they
 * could be divided in so many ways that a long text would hold up the node for minutes.
 */
const PATTERN = /^(?=[A-Za-z0-9._~:*-]{1,128}$)[^*]*(?:\*+(?!\*)[^*]*){0,3}$/;

/**
 * The token's claim `rights`: `[{sessions: "doc:*", allow: ["watch", "own"]}]`.
 * @throws RangeError that names the field, and nothing of its value
 */
export function rightsClaim(claim: unknown): RightsRule[] {
  if (claim === undefined) return [];
  if (!Array.isArray(claim) || claim.length > MAX_RULES) {
    throw new RangeError(`rights must be an array of at most ${MAX_RULES} rules`);
  }
  return claim.map((rule: unknown, index) => {
    const path = `rights[${index}]`;
    if (!isObject(rule)) throw new RangeError(`${path} must be an object`);
    const sessions = own(rule, 'sessions');
    if (typeof sessions !== 'string' || !PATTERN.test(sessions)) {
      throw new RangeError(`${path}.sessions must be a session id with at most 3 wildcards`);
    }
    const allow = own(rule, 'allow');
    if (!Array.isArray(allow) || !allow.every((right): right is Right => RIGHTS.includes(right))) {
      throw new RangeError(`${path}.allow must be an array out of ${RIGHTS.join(', ')}`);
    }
    return { sessions, allow: [...new Set(allow)] };
  });
}
