import type { DecodedMessage } from '../protocol/messages.js';
import type { Connection } from './connection.js';
import { type Inbox, settle } from './inbox.js';
import type { SessionsApi } from './sessions-api.js';

type Message<T extends DecodedMessage['type']> = Extract<DecodedMessage, { type: T }>;

/** Hands a checked message to the domain. A `ping` waits for nothing; sends and signals not for one another. */
export function dispatch(message: DecodedMessage, connection: Connection, inbox: Inbox, sessions: SessionsApi): void {
  if (message.type === 'send') send(message, connection, inbox, sessions);
  else if (message.type === 'signal') signal(message, connection, inbox, sessions);
  else request(message, connection, inbox, sessions);
}

function send(message: Message<'send'>, connection: Connection, inbox: Inbox, sessions: SessionsApi): void {
  inbox.enqueueShared(message, (waiting) => sessions.send(connection, message, waiting));
}

function signal(message: Message<'signal'>, connection: Connection, inbox: Inbox, sessions: SessionsApi): void {
  inbox.enqueueShared(message, (waiting) => {
    void settle(() => sessions.signal(connection, message), waiting);
  });
}

type Request = Exclude<DecodedMessage, { type: 'send' | 'signal' }>;

function request(message: Request, connection: Connection, inbox: Inbox, sessions: SessionsApi): void {
  const { id } = message;
  const echo = id === undefined ? {} : { id };
  switch (message.type) {
    case 'ping':
      connection.send({ type: 'pong', ...echo });
      return;
    case 'renew_login':
      inbox.enqueue(undefined, id, () => connection.renewLogin(message.access_token, id));
      return;
    case 'subscribe':
      for (const subscription of message.sessions) {
        inbox.enqueue(subscription.session_id, id, async () => {
          inbox.requireRoom();
          await sessions.subscribe(connection, subscription, id);
        });
      }
      return;
    case 'unsubscribe':
      inbox.enqueue(message.session_id, id, async () => {
        await sessions.unsubscribe(connection, message.session_id);
        connection.send({ type: 'unsubscribe_ack', ...echo, session_id: message.session_id });
      });
      return;
    case 'claim':
      inbox.enqueue(message.session_id, id, () => sessions.claim(connection, message, id));
      return;
    case 'release':
      inbox.enqueue(message.session_id, id, async () => {
        await sessions.release(connection, message.session_id);
        connection.send({ type: 'release_ack', ...echo, session_id: message.session_id });
      });
      return;
  }
}
