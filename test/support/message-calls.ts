import type { HistoryPage, NewMessage, Published, PublishResult } from '../../src/protocol/http.js';
import type { Position } from '../../src/protocol/messages.js';
import { type GatewayProcess, SECRETS } from './gateway-process.js';
import type { RawClient, Reply } from './raw-client.js';

type Node = Pick<GatewayProcess, 'url'>;

/** A backend route of that node, with the API key. */
export async function backendCall(node: Node, method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${node.url}/v1/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${SECRETS.HOLDFAST_API_KEY}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function answer<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

export async function publish(node: Node, sessionId: string, message: NewMessage): Promise<Published> {
  return answer(await backendCall(node, 'POST', `sessions/${sessionId}/messages`, message));
}

export async function publishAll(node: Node, sessionId: string, messages: NewMessage[]): Promise<PublishResult[]> {
  const path = `sessions/${sessionId}/messages`;
  return (await answer<{ results: PublishResult[] }>(await backendCall(node, 'POST', path, { messages }))).results;
}

/** The whole history as that node gives it, page by page. */
export async function historyOf(node: Node, sessionId: string): Promise<HistoryPage['messages']> {
  const messages: HistoryPage['messages'] = [];
  for (let pages = 0; pages < 100; pages += 1) {
    const after = messages.at(-1)?.offset ?? 0;
    const path = `sessions/${sessionId}/history?after=${after}&limit=1000`;
    const page = await answer<HistoryPage>(await backendCall(node, 'GET', path));
    if (page.messages.length === 0) return messages;
    messages.push(...page.messages);
  }
  throw new Error(`the history of ${sessionId} does not end`);
}

/** The kept messages that a connection got of a session. */
export function messagesOf(client: RawClient, sessionId: string): Reply<'message'>[] {
  return client.all('message').filter((message) => message.session_id === sessionId && !message.ephemeral);
}

/** Where a client stands that followed all that it was told. */
export function positionOf(client: RawClient, sessionId: string): Position {
  let position: Position | undefined;
  for (const { message } of client.frames) {
    if (!('session_id' in message) || message.session_id !== sessionId) continue;
    if (message.type === 'subscribe_ack' || message.type === 'reset') position = { ...message.position };
    if (message.type === 'message' && !message.ephemeral && position !== undefined) position.offset = message.offset;
  }
  if (position === undefined) throw new Error(`no position in ${sessionId}`);
  return position;
}
