import { afterEach, describe, expect, test } from 'vitest';
import { basePort, ClusterScript } from '../support/cluster-script.js';
import { RawClient } from '../support/raw-client.js';
import { findOnPath } from '../support/redis-binary.js';
import { noHaproxy, own, withHaproxy } from './use-cluster.js';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(noHaproxy)(withHaproxy('npm run cluster'), () => {
  let script: ClusterScript | undefined;

  afterEach(() => script?.child.kill('SIGKILL'));

  const start = async (...args: string[]) => {
    script = await ClusterScript.start('--grace-ms', '5000', ...args);
    return { script, url: `ws://127.0.0.1:${basePort()}/v1/connect` };
  };

  test('prints what to paste, kills and restarts a node on command, and ends with everything at Ctrl-C', async () => {
    const { script, url } = await start();
    expect(script.output).toContain(`npx wscat -c ${url} -s holdfast.v1`);
    expect(script.pids).toHaveLength(5);

    const owner = await RawClient.connect(url);
    const { token, epoch } = await own(owner, 'demo');
    const number = owner.welcome.node.slice(1);
    script.type(`kill ${number}`);
    await script.until(new RegExp(`n${number} ended with SIGKILL`));
    const back = await RawClient.connect(url);
    expect(back.welcome.node).not.toBe(owner.welcome.node);
    expect((await own(back, 'demo', { reconnect_token: token })).epoch).toBeGreaterThan(epoch);
    script.type(`start ${number}`);
    await script.until(new RegExp(`n${number} is back with pid`));
    script.type('kill 9');
    await script.until(/kill which node\? 1 to 3/);
    script.type('dance');
    await script.until(/unknown command "dance"/);
    script.type('status');
    await expect.poll(() => script.output.match(/ready/g)?.length ?? 0).toBeGreaterThanOrEqual(6);

    script.child.kill('SIGINT');
    expect(await script.exit).toBe(0);
    expect(script.pids.filter(isAlive)).toEqual([]);
    back.terminate();
  }, 60_000);

  test.skipIf(findOnPath('setpriv') === undefined)(
    'takes everything with it when it is killed',
    async () => {
      const { script } = await start('--nodes', '1');
      expect(script.pids).toHaveLength(3);
      script.child.kill('SIGKILL');
      await script.exit;
      await expect.poll(() => script.pids.filter(isAlive), { timeout: 5_000 }).toEqual([]);
    },
    60_000,
  );

  test('explains itself, and says what is wrong with an option', async () => {
    script = new ClusterScript('--help');
    expect(await script.exit).toBe(0);
    expect(script.output).toContain('--grace-ms');
    script = new ClusterScript('--nodes', 'many');
    expect(await script.exit).toBe(1);
    expect(script.output).toBe('--nodes must be an integer from 1 to 50, not many\n');
  });
});
