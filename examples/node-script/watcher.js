/**
 * Prints every line of the session, those from before it came too, until Ctrl-C: `node examples/node-script/watcher.js`.
 * `GATEWAY_URL` is the gateway's WebSocket address.
 */
import { createClient } from 'holdfast/client';
import { WebSocket } from 'ws'; // Node before 22 has none of its own

const { GATEWAY_URL = 'ws://127.0.0.1:8080/v1/connect' } = process.env;
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const client = createClient({ url: GATEWAY_URL, WebSocket, signal: stop.signal });
const session = client.session('lines:1', { claim: 'never', since: 'oldest' });

for await (const { offset, data, gap } of session) {
  if (gap) console.log('… lines are missing here');
  console.log(`${offset}:`, data);
}
