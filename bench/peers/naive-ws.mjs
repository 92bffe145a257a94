// What is written first: `send` of a string to each connection. Publishes over a connection or by POST.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen, messagesOf } from './relay.mjs';

const subscribers = new Set();

function publish(data) {
  for (const message of messagesOf(data)) {
    const text = message.toString();
    for (const subscriber of subscribers) subscriber.send(text);
  }
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    publish(Buffer.concat(chunks));
    response.end('{}');
  });
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket, { url }) => {
  socket.on('error', () => {});
  if (url === '/pub') socket.on('message', publish);
  else {
    subscribers.add(socket);
    socket.on('close', () => subscribers.delete(socket));
  }
});
listen(server);
