import { describe, expect, test } from 'vitest';
import { Sealer } from '../../src/crypto/seal.js';
import { parseSecrets } from '../../src/crypto/secrets.js';

const OLD = `old:${'o'.repeat(32)}`;
const NEW = `new:${'n'.repeat(32)}`;
const sealer = (text: string, purpose = 'test') => new Sealer(parseSecrets(text), purpose);

describe('what is sealed', () => {
  test('opens again, empty and with any character', () => {
    const seal = sealer(OLD);
    for (const text of ['', 'refresh-token', '\u0000 é 漢字 🔑', 'x'.repeat(65_536)]) {
      expect(seal.open(seal.seal(text, 'grant', '1'), 'grant', '1')).toBe(text);
    }
  });

  test('has the form kid.nonce.ciphertext, shows nothing of the text, and differs each time', () => {
    const seal = sealer(OLD);
    const [first, second] = [seal.seal('secret-text', 'grant'), seal.seal('secret-text', 'grant')];
    expect(first).toMatch(/^old\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{36}$/);
    expect(first).not.toBe(second);
    expect(Buffer.from(first.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('secret');
  });

  test('opens under its context, purpose and secret alone', () => {
    const seal = sealer(OLD);
    const sealed = seal.seal('text', 'grant', '12');
    for (const context of [[], ['grant'], ['grant', '13'], ['grant1', '2'], ['grant', '1', '2'], ['grant:2:12']]) {
      expect(seal.open(sealed, ...context)).toBeUndefined();
    }
    expect(sealer(OLD, 'other').open(sealed, 'grant', '12')).toBeUndefined();
    expect(sealer(`old:${'x'.repeat(32)}`).open(sealed, 'grant', '12')).toBeUndefined();
    expect(seal.open(sealed, 'grant', '12')).toBe('text');
  });

  test('does not open with any byte changed, cut off or added', () => {
    const seal = sealer(OLD);
    const [kid = '', nonce = '', body = ''] = seal.seal('text', 'grant').split('.');
    for (const [part, bytes] of [nonce, body].map((text) => Buffer.from(text, 'base64url')).entries()) {
      for (let at = 0; at < bytes.length; at += 1) {
        const forged = Buffer.from(bytes);
        forged[at] = (forged[at] ?? 0) ^ 1;
        const changed = part === 0 ? [forged.toString('base64url'), body] : [nonce, forged.toString('base64url')];
        expect(seal.open([kid, ...changed].join('.'), 'grant')).toBeUndefined();
      }
    }
    for (const other of [
      '',
      'text',
      `${kid}.${nonce}`,
      `${kid}.${nonce}.${body}.`,
      `${kid}.${nonce}.${body}AA`,
      `${kid}.${nonce}.${body.slice(4)}`,
    ]) {
      expect(seal.open(other, 'grant')).toBeUndefined();
    }
  });

  test('opens while its secret is in the list; the first seals', () => {
    const sealed = sealer(OLD).seal('text', 'grant');
    const both = sealer(`${NEW},${OLD}`);
    expect(both.open(sealed, 'grant')).toBe('text');
    expect(both.seal('text', 'grant')).toMatch(/^new\./);
    expect(sealer(NEW).open(sealed, 'grant')).toBeUndefined();
  });
});

test('sealing needs a secret', () => {
  expect(() => new Sealer([], 'test')).toThrow(TypeError);
});
