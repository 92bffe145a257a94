/**
 * Owns a session and sends numbered lines into it, until Ctrl-C: `node examples/node-script/owner.js`.
 * `GATEWAY_URL` is the gateway's WebSocket address, `EVERY_MS` the time between two lines.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'holdfast/client';
import { WebSocket } from 'ws'; // Node before 22 has none of its own

const { GATEWAY_URL = 'ws://127.0.0.1:8080/v1/connect', EVERY_MS = '500' } = process.env;
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const client = createClient({ url: GATEWAY_URL, WebSocket });
const session = client.session('lines:1');
session.on('state', ({ state }) => console.log(`[${state.name}]`));

try {
  await session.claim({ signal: stop.signal });
  for (let number = 1; ; number++) {
    await session.send(`Line ${number}`); // waits for the connection when it is lost
    await delay(Number(EVERY_MS), undefined, { signal: stop.signal });
  }
} catch (error) {
  if (!stop.signal.aborted) console.error(error.message); // session_owned, not_owner, …: another has it
} finally {
  await session.unsubscribe(); // frees it at once; without, it is held for the grace period
  client.close();
}
