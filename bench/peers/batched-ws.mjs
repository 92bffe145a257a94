// What `ws` can do at most: its connections, with one frame a message and one write per connection and turn.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { batchedTo, frameOf, listen, messagesOf } from './relay.mjs';

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const subscribers = new Set();
const push = batchedTo(subscribers);
sockets.on('connection', (socket, { url, socket: stream }) => {
  socket.on('error', () => {});
  if (url === '/pub') {
    socket.on('message', (data) => {
      for (const message of messagesOf(data)) push(frameOf(message));
    });
  } else {
    subscribers.add(stream);
    socket.on('close', () => subscribers.delete(stream));
  }
});
listen(server);
