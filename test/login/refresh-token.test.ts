import { describe, expect, it } from 'vitest';
import { newLoginId } from '../../src/login/handles.js';
import { type RefreshToken, RefreshTokens } from '../../src/login/refresh-token.js';
import { secret } from './logins-harness.js';

const OLD = secret('old');
const NEW = secret('new');
const tokens = new RefreshTokens([OLD]);
const ID = newLoginId();
const first = tokens.first(ID, 'hfc_code');

function genuine(read: ReturnType<RefreshTokens['read']>): RefreshToken {
  if (typeof read === 'string') throw new Error(read);
  return read;
}

/** The token's text with one part replaced. */
function altered(index: number, change: (part: string) => string): string {
  return tokens
    .write(first)
    .split('.')
    .map((part, at) => (at === index ? change(part) : part))
    .join('.');
}

const base64url = (text: string) => Buffer.from(text).toString('base64url');
const flip = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);

describe('a refresh token', () => {
  it.each([ID, 'a.chosen~id_with-every.kind_of.character.0', 'x'.repeat(128)])('is read as written: %s', (loginId) => {
    const token = tokens.first(loginId, 'hfc_code');
    expect(tokens.read(tokens.write(token))).toEqual(token);
    expect(tokens.write(token)).toMatch(/^hfr1\.old\.[\w-]+\.1\.[\w-]{43}\.[\w-]{43}$/);
  });

  it('follows from the login and its code alone', () => {
    expect(new RefreshTokens([NEW]).first(ID, 'hfc_code')).toEqual(first);
    expect(tokens.first(ID, 'hfc_other').chain).not.toBe(first.chain);
    expect(tokens.first(newLoginId(), 'hfc_code').chain).not.toBe(first.chain);
  });

  it('is hashed without key id and MAC', () => {
    const elsewhere = new RefreshTokens([NEW, OLD]);
    const rewritten = elsewhere.write(genuine(elsewhere.read(tokens.write(first))));
    expect(rewritten).not.toBe(tokens.write(first));
    expect(elsewhere.hash(genuine(elsewhere.read(rewritten)))).toBe(tokens.hash(first));
  });

  it('differs in its hash by login, generation and chain', () => {
    const others = [
      { ...first, loginId: newLoginId() },
      { ...first, generation: 2 },
      { ...first, chain: 'x' },
    ];
    expect(new Set([first, ...others].map((token) => tokens.hash(token))).size).toBe(4);
  });
});

describe('the successor', () => {
  it('is the same on nodes that sign with different secrets, whichever of its texts is presented', () => {
    const before = new RefreshTokens([OLD, NEW]);
    const after = new RefreshTokens([NEW, OLD]);
    const onBefore = before.write(before.successor(first));
    const onAfter = after.write(after.successor(first));
    expect(onBefore).not.toBe(onAfter);
    const hashes = [before, after].flatMap((node) =>
      [onBefore, onAfter].map((text) => node.hash(node.successor(genuine(node.read(text))))),
    );
    expect(new Set(hashes).size).toBe(1);
  });

  it('has the next generation and another chain each time', () => {
    const second = tokens.successor(first);
    const third = tokens.successor(second);
    expect([second.generation, third.generation]).toEqual([2, 3]);
    expect(new Set([first.chain, second.chain, third.chain]).size).toBe(3);
  });

  it('cannot be written by who knows its predecessor', () => {
    const { generation, chain } = tokens.successor(first);
    const mac = tokens.write(first).split('.')[5];
    expect(tokens.read(`hfr1.old.${base64url(ID)}.${generation}.${chain}.${mac}`)).toBe('forged');
  });
});

describe('reading refuses', () => {
  it.each([
    ['another login', 2, () => base64url(newLoginId())],
    ['another generation', 3, () => '2'],
    ['another chain', 4, flip],
    ['another MAC', 5, flip],
  ] as const)('%s', (_, index, change) => {
    expect(tokens.read(altered(index, change))).toBe('forged');
  });

  it.each([
    ['another version', 0, () => 'hfr2'],
    ['an empty key id', 1, () => ''],
    ['a login id that is none', 2, () => base64url('short'.repeat(6))],
    ['a login id with forbidden characters', 2, () => base64url('ä'.repeat(40))],
    ['generation 0', 3, () => '0'],
    ['a generation with a leading zero', 3, () => '01'],
    ['a generation out of bounds', 3, () => '1'.repeat(10)],
    ['a short chain', 4, (part: string) => part.slice(1)],
    ['no MAC', 5, () => ''],
    ['a long MAC', 5, (part: string) => `${part}A`],
  ] as const)('%s', (_, index, change) => {
    expect(tokens.read(altered(index, change))).toBe('malformed');
  });

  it.each(['', 'hfr1.', ' '.repeat(10), 'hft_ticket', 'x'.repeat(1_000_000), 'hfr1.'.repeat(1_000)])(
    'what is no token at all',
    (text) => expect(tokens.read(text)).toBe('malformed'),
  );

  it('white space around a token', () => {
    expect(tokens.read(`${tokens.write(first)}\n`)).toBe('malformed');
    expect(tokens.read(` ${tokens.write(first)}`)).toBe('malformed');
  });

  it('a token of a secret that it does not have, and of another secret under the same id', () => {
    expect(new RefreshTokens([NEW]).read(tokens.write(first))).toBe('unknown_key');
    expect(new RefreshTokens([secret('old')]).read(tokens.write(first))).toBe('forged');
  });
});

it('takes at least one secret', () => {
  expect(() => new RefreshTokens([])).toThrow(RangeError);
});
