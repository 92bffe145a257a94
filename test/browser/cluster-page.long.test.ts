import { describe, expect, it } from 'vitest';
import { replyTo } from '../../src/web/reply.js';
import { noHaproxy, withHaproxy } from '../cluster/use-cluster.js';
import { basePort, ClusterScript } from '../support/cluster-script.js';
import { describeDemo, LONG, OWNER, type Tab } from './demo-page.js';

let script: ClusterScript;

async function startCluster() {
  script = await ClusterScript.start('--grace-ms', '5000');
  const stop = async () => {
    script.child.kill('SIGINT');
    await script.exit;
  };
  return { url: `http://127.0.0.1:${basePort()}/`, stop };
}

const nodeOf = (tab: Tab) => tab.textOf('#node');
/** Chromium reports the connections that broke with the node. */
const forgive = (tab: Tab) => (tab.complaints.length = 0);

describe.skipIf(noHaproxy)(withHaproxy('npm run cluster'), () => {
  describeDemo(
    'the page over three nodes',
    (demo) => {
      it('owns again on another node within seconds of its node’s death, and no word of the answer is lost', async () => {
        const words = replyTo('Kill');
        const [first, second] = await demo().openTwo();
        const [node, epoch] = [await nodeOf(first), await first.epoch()];
        await first.ask('Kill');
        await first.press('Kill my node');
        const killedMs = performance.now();
        await expect.poll(() => first.epoch(), LONG).toBeGreaterThan(epoch);
        await first.shows(OWNER);
        expect(performance.now() - killedMs).toBeLessThan(3_000);
        expect(await nodeOf(first)).not.toBe(node);
        for (const tab of [first, second]) {
          await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
          expect(await tab.page.locator('#transcript li').count()).toBe(1);
          forgive(tab);
        }
        await script.until(new RegExp(`${node} is back with pid`));
      }, 60_000);

      it('keeps a login over the death of a node, and ends it on all of them', async () => {
        const first = await demo().open();
        await first.logIn('alice');
        await first.shows(OWNER);
        for (const fault of ['Kill my node', 'Expire my access token']) {
          const epoch = await first.epoch();
          await first.press(fault);
          await expect.poll(() => first.epoch(), LONG).toBeGreaterThan(epoch);
          await first.shows(OWNER);
        }
        expect(await first.page.textContent('#login-label')).toBe('Logged in as alice');
        await first.press('Log out elsewhere');
        await first.shows('Not subscribed');
        await expect.poll(() => first.page.textContent('#login-label')).toBe('Logged out');
        forgive(first);
      }, 60_000);
    },
    startCluster,
  );
});
