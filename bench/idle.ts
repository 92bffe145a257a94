/** Memory of an idle connection, beside bare `ws`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startMemoryGateway } from './gateway.js';
import { rssKib, startPeer } from './process.js';
import { inParallel, RawSocket } from './raw-socket.js';
import { ratio, table } from './report.js';

const CONNECTIONS = 10_000;
const WARM_UP = 500;

async function perConnectionKib(server: { pid: number; port: number }, path: string): Promise<number> {
  const open = (count: number) => {
    const sockets: RawSocket[] = [];
    return inParallel(count, 200, async () => void sockets.push(await RawSocket.open(server.port, path))).then(
      () => sockets,
    );
  };
  // Code that runs for the first time takes memory too, which is no connection's.
  for (const socket of await open(WARM_UP)) socket.cut();
  await sleep(1_000);
  const before = rssKib(server.pid);
  const sockets = await open(CONNECTIONS);
  await sleep(3_000);
  const after = rssKib(server.pid);
  for (const socket of sockets) socket.cut();
  return (after - before) / CONNECTIONS;
}

export async function idle(): Promise<void> {
  const bare = await startPeer(fileURLToPath(new URL('./peers/bare-ws.mjs', import.meta.url)));
  const bareKib = await perConnectionKib(bare, '/').finally(() => bare.stop());
  const gateway = await startMemoryGateway();
  const gatewayKib = await perConnectionKib(gateway, '/v1/connect').finally(() => gateway.stop());
  table(
    `Idle connections, KiB of RSS each, ${CONNECTIONS} of them`,
    ['server', 'KiB', 'against bare ws'],
    [
      ['bare ws', bareKib.toFixed(2), ratio(1)],
      ['holdfast', gatewayKib.toFixed(2), ratio(gatewayKib / bareKib, { atMost: 1.5 })],
    ],
  );
}
