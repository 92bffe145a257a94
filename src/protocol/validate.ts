/** Readers of untrusted JSON values. They only look at own properties and throw `invalid_field` with the field's path. */
import { HoldfastError } from './errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property, so that neither `__proto__` nor `constructor` is ever mistaken for input. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** @throws HoldfastError `invalid_field`, always */
export function refuse(field: string, rule: string): never {
  throw new HoldfastError('invalid_field', `${field} must be ${rule}`, { field });
}

/** @throws what a reader of the object at `path` threw, with that path @param error as `refuse` throws it, or another */
export function refuseWithin(path: string, error: unknown): never {
  if (!(error instanceof HoldfastError) || error.field === undefined) throw error;
  throw new HoldfastError(error.code, `${path}.${error.message}`, { field: `${path}.${error.field}` });
}

export interface TextRule {
  pattern: Pick<RegExp, 'test'>;
  /** What the pattern asks for, to end the sentence "… must be". */
  rule: string;
}

/** The text under `key`, or undefined when there is none. `path` is the path of `object`, empty at the top. */
export function optionalText(
  object: JsonObject,
  key: string,
  { pattern, rule }: TextRule,
  path = '',
): string | undefined {
  const value = own(object, key);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !pattern.test(value)) refuse(path + key, rule);
  return value;
}

/** The same key again is the same request. */
export const IDEMPOTENCY_KEY: TextRule = { pattern: /^[\x21-\x7e]{1,255}$/, rule: '1 to 255 visible ASCII characters' };

export function requiredText(object: JsonObject, key: string, rule: TextRule, path = ''): string {
  return optionalText(object, key, rule, path) ?? refuse(path + key, rule.rule);
}

/** An integer from `least` to `most`, 2^53 - 1 when absent. */
export function optionalInteger(
  object: JsonObject,
  key: string,
  least: number,
  path = '',
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = own(object, key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  return refuse(path + key, `an integer from ${least} to ${most}`);
}

export function optionalBoolean(object: JsonObject, key: string, path = ''): boolean | undefined {
  const value = own(object, key);
  if (value === undefined || typeof value === 'boolean') return value;
  return refuse(path + key, 'true or false');
}

export function optionalChoice<T extends string>(
  object: JsonObject,
  key: string,
  choices: readonly T[],
  path = '',
): T | undefined {
  const value = own(object, key);
  if (value === undefined) return undefined;
  return choices.find((choice) => choice === value) ?? refuse(path + key, `one of ${choices.join(', ')}`);
}
