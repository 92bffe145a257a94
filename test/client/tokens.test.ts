import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { TokenStorage } from '../../src/client/storage.js';
import { Subscribing } from '../../src/client/subscribing.js';
import { Tokens } from '../../src/client/tokens.js';
import { openPage } from './login-page.js';

const URL = 'wss://gateway.test/v1/connect';
const key = (sessionId: string) => `holdfast:${URL}:${sessionId}`;

let kept: Map<string, string>;
/** Tells no keys, as a store of the application's own. */
let plain: TokenStorage;
/** Has its keys as properties, as Web Storage does. */
let web: TokenStorage;

beforeEach(() => {
  kept = new Map();
  plain = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  };
  web = new Proxy(plain, {
    ownKeys: () => [...kept.keys()],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
});

/** What a run leaves to the next. */
function run(storage: TokenStorage | undefined, use: (tokens: Tokens) => void): void {
  const tokens = new Tokens(storage, URL);
  use(tokens);
  tokens.close();
}

describe.each(['in a page', 'elsewhere'])('%s', (where) => {
  beforeEach(() => {
    if (where === 'in a page') openPage();
  });

  it('tokens of the same principal are there in the next run', () => {
    run(web, (tokens) => {
      tokens.belongTo('alice');
      tokens.set('s:1', 'one');
    });
    run(web, (tokens) => {
      tokens.belongTo('alice');
      expect(tokens.get('s:1')).toBe('one');
    });
  });

  it('tokens of another principal are not, nor for whoever comes after', () => {
    run(web, (tokens) => {
      tokens.belongTo('alice');
      tokens.set('s:1', 'one');
      tokens.set('s:2', 'two');
    });
    run(web, (tokens) => {
      expect(tokens.get('s:1')).toBe('one');
      tokens.belongTo('bob');
      expect(tokens.get('s:1')).toBeUndefined();
      expect(tokens.get('s:2')).toBeUndefined();
      tokens.set('s:1', 'bob’s');
    });
    expect([...kept.values()].sort()).toEqual(['bob', 'bob’s']);
  });

  it('a principal that changes within a run takes them along', () => {
    const tokens = new Tokens(undefined, URL);
    tokens.belongTo('alice');
    tokens.set('s:1', 'one');
    tokens.belongTo('alice');
    expect(tokens.get('s:1')).toBe('one');
    tokens.belongTo('bob');
    expect(tokens.get('s:1')).toBeUndefined();
    tokens.close();
  });

  it('tokens kept before anybody said whose they are stay', () => {
    kept.set(key('s:1'), 'one');
    run(web, (tokens) => {
      tokens.belongTo('alice');
      expect(tokens.get('s:1')).toBe('one');
    });
  });

  it('clearing leaves nothing of this gateway, and everything else', () => {
    kept.set('application', 'x');
    kept.set('holdfast:wss://other.test/v1/connect:s:1', 'other');
    kept.set(key('s:never-asked'), 'old');
    run(web, (tokens) => {
      tokens.belongTo('alice');
      tokens.set('s:1', 'one');
      tokens.clear();
      expect(tokens.get('s:1')).toBeUndefined();
    });
    expect([...kept.keys()]).toEqual(['application', 'holdfast:wss://other.test/v1/connect:s:1']);
  });

  it('clears what it knows of in a store that tells no keys', () => {
    run(plain, (tokens) => {
      tokens.belongTo('alice');
      tokens.set('s:1', 'one');
      tokens.clear();
    });
    expect(kept.size).toBe(0);
  });

  it('the principal is no session’s token, whatever the session’s name', () => {
    run(web, (tokens) => {
      tokens.belongTo('alice');
      expect(tokens.get('principal')).toBeUndefined();
    });
  });

  it('a store that fails costs the next run its tokens, nothing else', () => {
    const fail = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    run({ getItem: fail, setItem: fail, removeItem: fail }, (tokens) => {
      tokens.belongTo('alice');
      tokens.set('s:1', 'one');
      expect(tokens.get('s:1')).toBe('one');
      tokens.belongTo('bob');
      expect(tokens.get('s:1')).toBeUndefined();
    });
  });
});

it('in a page that is not running they are in storage, and gone when it runs again', () => {
  const page = openPage();
  const tokens = new Tokens(web, URL);
  tokens.set('s:1', 'one');
  expect(kept.size).toBe(0);
  page.window.dispatchEvent(new Event('pagehide'));
  expect(kept.get(key('s:1'))).toBe('one');
  page.comeBack();
  expect(kept.size).toBe(0);
  expect(tokens.get('s:1')).toBe('one');
  const remove = vi.spyOn(page.window, 'removeEventListener');
  tokens.close();
  expect(remove).toHaveBeenCalled();
});

describe('an attempt that got no answer', () => {
  it('is made again by the next page, with its token or without', () => {
    openPage();
    const attempts: string[] = [];
    run(web, (tokens) => {
      tokens.set('s:1', 'one');
      attempts.push(tokens.attempt('s:1'), tokens.attempt('s:2'));
    });
    run(web, (tokens) => {
      expect([tokens.get('s:1'), tokens.get('s:2')]).toEqual(['one', undefined]);
      expect([tokens.attempt('s:1'), tokens.attempt('s:2')]).toEqual(attempts);
      expect([...kept.keys()]).toEqual([]);
    });
  });

  it('is over once it was answered', () => {
    openPage();
    let attempt = '';
    run(web, (tokens) => {
      attempt = tokens.attempt('s:1');
      tokens.set('s:1', 'one');
      tokens.attempt('s:2');
      tokens.delete('s:2');
    });
    expect(Object.fromEntries(kept)).toEqual({ [key('s:1')]: 'one' });
    run(web, (tokens) => {
      expect(tokens.get('s:1')).toBe('one');
      expect(tokens.attempt('s:1')).not.toBe(attempt);
    });
  });

  it('is not written outside of a page, where nothing says that it got none', () => {
    run(web, (tokens) => {
      tokens.set('s:1', 'one');
      tokens.attempt('s:1');
    });
    expect(Object.fromEntries(kept)).toEqual({ [key('s:1')]: 'one' });
  });

  it('is in storage only while the page is not running', () => {
    const page = openPage();
    const tokens = new Tokens(web, URL);
    tokens.attempt('s:1');
    page.window.dispatchEvent(new Event('pagehide'));
    expect(kept.size).toBe(1);
    page.comeBack();
    expect(kept.size).toBe(0);
    tokens.set('s:1', 'one');
    tokens.close();
    expect(kept.get(key('s:1'))).toBe('one');
  });

  it('takes no place in storage from the token that another client of the page left', () => {
    const page = openPage();
    const [owner, other] = [new Tokens(web, URL), new Tokens(web, URL)];
    owner.set('s:1', 'one');
    other.attempt('s:1');
    page.window.dispatchEvent(new Event('pagehide'));
    page.comeBack();
    expect([kept.size, owner.get('s:1'), other.get('s:1')]).toEqual([0, 'one', undefined]);
    owner.close();
    other.close();
    expect(kept.get(key('s:1'))).toBe('one');
  });

  it('is not made again with a token that a page in between has left', () => {
    const page = openPage();
    const tokens = new Tokens(web, URL);
    tokens.set('s:1', 'one');
    const subscribing = new Subscribing('s:1', 'if_free', tokens);
    const before = subscribing.request(undefined, false);
    page.window.dispatchEvent(new Event('pagehide'));
    kept.set(key('s:1'), 'two');
    page.comeBack();
    const after = subscribing.request(undefined, false);
    expect([before.reconnect_token, after.reconnect_token]).toEqual(['one', 'two']);
    expect(after.attempt_id).not.toBe(before.attempt_id);
    expect(subscribing.request(undefined, false)).toBe(after);
    tokens.close();
  });
});
