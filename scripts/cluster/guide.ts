import type { GatewayCluster } from '../../test/support/cluster.js';
import { SECRETS } from '../../test/support/gateway-process.js';
import { commands } from './commands.js';

export function help(defaults: Readonly<Record<string, number>>): string {
  return `Usage: npm run cluster -- [options]

Starts a private Redis, gateway nodes and HAProxy on loopback, and stops them all at Ctrl-C.

  --nodes N       number of nodes (${defaults['nodes']})
  --grace-ms N    grace period (${defaults['grace-ms']})
  --base-port N   HAProxy on N, node i on N + i, its internal port on N + 100 + i (${defaults['base-port']})
  --help

${commandList()}`;
}

/** What to type where, and what to see. */
export function guide(cluster: GatewayCluster): string {
  const { haproxy, graceMs } = cluster;
  const connect = `npx wscat -c ${haproxy.connectUrl} -s holdfast.v1`;
  return `
Open ${haproxy.url}/ in two tabs: one owns the session, the other watches. Ask the agent something, press "Kill my node"
in mid-answer, and see the session taken back on another node. Or by hand:

Take a session back on another node:

  1. In a second terminal, the owner:
       ${connect}
     It prints "welcome" with the node that serves it. Send:
       {"type":"subscribe","session_id":"demo"}
     The answer has "owner":true and a "reconnect_token".
  2. In a third terminal, a watcher: the same two lines. It gets "owner":false.
  3. Here: kill N, with the number of the owner's node. The owner's connection breaks.
  4. In the second terminal connect again and send, within ${graceMs / 1000} s, with the token of step 1:
       {"type":"subscribe","session_id":"demo","reconnect_token":"PASTE IT HERE"}
     It owns the session again, on another node, with a higher "owner_epoch" and a new token.
     The watcher sees "ownership" with "reason":"reclaimed".
     Nobody comes back? Then the watcher sees "state":"free", "reason":"expired" when the lease has ended, after at
     most ${(cluster.leaseMs + 1_500) / 1000} s, and may send {"type":"claim","session_id":"demo"}.

Should the watcher have been on the node that you killed, it has to connect and subscribe again as well. To choose the
node yourself, connect to its own address:
${cluster.nodes.map((node) => `  npx wscat -c ${node.connectUrl} -s holdfast.v1`).join('\n')}

Publish a message on any node, and watch it arrive on another. Who subscribes later with "since":"oldest" gets it too:

  curl -s ${haproxy.url}/v1/sessions/demo/messages -H 'Authorization: Bearer ${SECRETS.HOLDFAST_API_KEY}' \\
       -H 'Content-Type: application/json' -d '{"data":"Hello"}'

Log a person in, and use the login on any node:

  curl -s ${haproxy.url}/v1/logins -H 'Authorization: Bearer ${SECRETS.HOLDFAST_API_KEY}' \\
       -H 'Content-Type: application/json' -d '{"principal":"alice"}'
  npx wscat -c ${haproxy.connectUrl} -s holdfast.v1 -H 'Authorization: Bearer PASTE THE access_token HERE'
  curl -s ${haproxy.url}/v1/auth/refresh -H 'Content-Type: application/json' \\
       -d '{"refresh_token":"PASTE IT HERE"}'
  curl -s -X POST ${haproxy.url}/v1/auth/logout -H 'Authorization: Bearer PASTE THE access_token HERE'

The refresh works twice and more with one token, on whichever node, and gives the same successor. The logout closes the
connection with 4002.

${commandList()}
`;
}

function commandList(): string {
  const lines = Object.entries(commands).map(([name, command]) => [`${name} N`, command.help]);
  lines.push(['status', 'what runs where'], ['quit', 'stop everything, as Ctrl-C does']);
  return `Commands, on standard input:\n${lines.map(([name = '', text = '']) => `  ${name.padEnd(8)}${text}`).join('\n')}`;
}
