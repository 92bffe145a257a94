import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginEvent, UpstreamGrant, UpstreamGrants } from '../../src/login/ports.js';

export interface GrantsHarness {
  grants: UpstreamGrants;
  /** Another node's, over the same data; where there is only one node, the same. */
  other: UpstreamGrants;
  /** @returns the handle of a new login that lasts for `maxMs` */
  login(maxMs?: number): Promise<string>;
  endLogin(handle: string): Promise<void>;
  events(handle: string): Promise<LoginEvent[]>;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

const sealOf = (text: string) => (generation: number) => `${text}/${generation}`;
const answerOf = (text: string) => ({ sealedSecret: `secret-${text}`, sealedAccess: `access-${text}` });

/** What `UpstreamGrants` promises, held against one implementation. */
export function upstreamGrantsContract(name: string, make: () => Promise<GrantsHarness>): void {
  describe(`${name} upstream grants`, () => {
    let harness: GrantsHarness;
    let grants: UpstreamGrants;

    beforeAll(async () => {
      harness = await make();
      grants = harness.grants;
    });

    afterAll(() => harness.close());

    const stored = async (): Promise<string> => {
      const handle = await harness.login();
      expect(await grants.put(handle, { provider: 'idp', seal: sealOf('first') })).toBe(true);
      return handle;
    };
    const grantOf = async (handle: string): Promise<UpstreamGrant> => {
      const { grant } = await grants.read(handle);
      if (grant === undefined) throw new Error('there is no grant');
      return grant;
    };
    const begun = async (handle: string) => {
      const { generation, sendingSinceMs } = await grantOf(handle);
      const recorded = await grants.begin(handle, { generation, sendingSinceMs });
      expect(recorded).toBeGreaterThan(0);
      return { generation, sendingSinceMs: recorded };
    };
    const kinds = async (handle: string) =>
      (await harness.events(handle)).map(({ kind }) => kind).filter((kind) => kind.startsWith('grant_'));

    test('a new grant is read on any node, with the time', async () => {
      const handle = await stored();
      const { grant, nowMs } = await harness.other.read(handle);
      expect(grant).toEqual({
        provider: 'idp',
        generation: 1,
        sealedSecret: 'first/1',
        sealedAccess: '',
        refreshedAtMs: 0,
        sendingSinceMs: 0,
        notBeforeMs: 0,
        state: 'ok',
      });
      expect(nowMs).toBeGreaterThan(1_700_000_000_000);
    });

    test('a login without a grant has none, and nothing can be done to it', async () => {
      const handle = await harness.login();
      const none = { generation: 0, sendingSinceMs: 0 };
      expect((await grants.read(handle)).grant).toBeUndefined();
      expect(await grants.begin(handle, none)).toBe(0);
      expect(await grants.commit(handle, 0, answerOf('x'))).toBe(false);
      expect(await grants.fail(handle, none, 'reauth_required')).toBe(false);
      expect((await grants.read(handle)).grant).toBeUndefined();
    });

    test('a login that is unknown or has ended takes no grant', async () => {
      const handle = await harness.login();
      await harness.endLogin(handle);
      for (const over of [handle, `sha256:v1:${'0'.repeat(64)}`]) {
        expect(await grants.put(over, { provider: 'idp', seal: sealOf('late') })).toBe(false);
        expect((await grants.read(over)).grant).toBeUndefined();
      }
    });

    test('nor does one whose time is over', async () => {
      const handle = await harness.login(100);
      await harness.wait(200);
      expect(await grants.put(handle, { provider: 'idp', seal: sealOf('late') })).toBe(false);
    });

    test('the end of the login takes its grant along, for good', async () => {
      const handle = await stored();
      const sent = await begun(handle);
      await harness.endLogin(handle);
      expect((await grants.read(handle)).grant).toBeUndefined();
      expect(await grants.commit(handle, sent.generation, answerOf('late'))).toBe(false);
      expect((await grants.read(handle)).grant).toBeUndefined();
    });

    test('an answer replaces what was there, at the next generation', async () => {
      const handle = await stored();
      const { generation } = await begun(handle);
      expect(await harness.other.commit(handle, generation, answerOf('second'))).toBe(true);
      const { grant, nowMs } = await grants.read(handle);
      expect(grant).toMatchObject({
        provider: 'idp',
        generation: 2,
        ...answerOf('second'),
        sendingSinceMs: 0,
        state: 'ok',
      });
      expect(nowMs - (grant?.refreshedAtMs ?? 0)).toBeLessThan(5_000);
      expect(await kinds(handle)).toEqual(['grant_stored', 'grant_refreshed']);
      expect((await harness.events(handle)).at(-1)?.fields).toEqual({ provider: 'idp', grant_generation: '2' });
    });

    test('of many that found the same grant exactly one may send', async () => {
      const handle = await stored();
      const found = await grantOf(handle);
      const nodes = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? grants : harness.other));
      const recorded = await Promise.all(nodes.map((node) => node.begin(handle, found)));
      expect(recorded.filter((at) => at > 0)).toEqual([(await grantOf(handle)).sendingSinceMs]);
    });

    test('a request that was lost is followed by one that found it', async () => {
      const handle = await stored();
      const lost = await begun(handle);
      expect(await grants.begin(handle, { ...lost, sendingSinceMs: 0 })).toBe(0);
      await harness.wait(5);
      const again = await grants.begin(handle, lost);
      expect(again).toBeGreaterThan(lost.sendingSinceMs);
      expect(await grants.begin(handle, lost)).toBe(0);
      expect(await grants.fail(handle, lost, { retryAfterMs: 0 })).toBe(false);
      expect((await grantOf(handle)).sendingSinceMs).toBe(again);
    });

    test('of two answers to one generation the first counts', async () => {
      const handle = await stored();
      const { generation } = await begun(handle);
      const answers = ['a', 'b'].map((text) => grants.commit(handle, generation, answerOf(text)));
      expect((await Promise.all(answers)).filter(Boolean)).toHaveLength(1);
      expect((await grantOf(handle)).generation).toBe(2);
    });

    test('a new grant keeps out the answer to the one before', async () => {
      const handle = await stored();
      const sent = await begun(handle);
      expect(await harness.other.put(handle, { provider: 'new', seal: sealOf('new') })).toBe(true);
      expect(await grants.commit(handle, sent.generation, answerOf('late'))).toBe(false);
      expect(await grants.fail(handle, sent, 'reauth_required')).toBe(false);
      expect(await grantOf(handle)).toMatchObject({
        provider: 'new',
        generation: 2,
        sealedSecret: 'new/2',
        sendingSinceMs: 0,
        state: 'ok',
      });
      expect(await kinds(handle)).toEqual(['grant_stored', 'grant_stored']);
    });

    test('new grants that are put at once each get a generation of their own', async () => {
      const handle = await stored();
      const puts = ['a', 'b', 'c'].map((text) => grants.put(handle, { provider: text, seal: sealOf(text) }));
      expect(await Promise.all(puts)).toEqual([true, true, true]);
      const { provider, generation, sealedSecret } = await grantOf(handle);
      expect([generation, sealedSecret]).toEqual([4, `${provider}/4`]);
    });

    test('a request that changed nothing may be sent again, after a while where one is given', async () => {
      const handle = await stored();
      expect(await grants.fail(handle, await begun(handle), { retryAfterMs: 0 })).toBe(true);
      expect(await grantOf(handle)).toMatchObject({ generation: 1, sendingSinceMs: 0, state: 'ok' });
      expect(await grants.fail(handle, await begun(handle), { retryAfterMs: 60_000 })).toBe(true);
      const { grant, nowMs } = await grants.read(handle);
      expect((grant?.notBeforeMs ?? 0) - nowMs).toBeGreaterThan(50_000);
      expect(await kinds(handle)).toEqual(['grant_stored']);
    });

    test('a spent grant stays so until there is another', async () => {
      const handle = await stored();
      const first = await begun(handle);
      await grants.commit(handle, first.generation, answerOf('second'));
      const sent = await begun(handle);
      expect(await grants.fail(handle, sent, 'reauth_required')).toBe(true);
      expect(await grantOf(handle)).toMatchObject({ state: 'reauth_required', sealedAccess: '', sendingSinceMs: 0 });
      expect(await kinds(handle)).toEqual(['grant_stored', 'grant_refreshed', 'grant_lost']);
      await grants.put(handle, { provider: 'idp', seal: sealOf('new') });
      expect(await grantOf(handle)).toMatchObject({ state: 'ok', generation: 3 });
    });

    test('an answer that comes after all revives a grant that seemed spent', async () => {
      const handle = await stored();
      const lost = await begun(handle);
      await harness.wait(5);
      const sendingSinceMs = await grants.begin(handle, lost);
      await grants.fail(handle, { ...lost, sendingSinceMs }, 'reauth_required');
      expect(await harness.other.commit(handle, lost.generation, answerOf('late'))).toBe(true);
      expect(await grantOf(handle)).toMatchObject({ state: 'ok', generation: 2, sealedSecret: 'secret-late' });
    });
  });
}
