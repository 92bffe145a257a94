// Socket.IO: a room, and everything in it is told. With a Redis URL as argument: over its Redis adapter.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { listen } from './relay.mjs';

const [, , redisUrl] = process.argv;
const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  // A client that only counts answers no pings.
  pingInterval: 3_600_000,
  ...(redisUrl !== undefined && { adapter: createAdapter(new Redis(redisUrl), new Redis(redisUrl)) }),
});
io.on('connection', (socket) => {
  if (socket.handshake.query.role === 'pub') {
    socket.on('publish', (data) => io.to('room').emit('message', data));
    socket.on('publish_all', (messages) => {
      for (const data of messages) io.to('room').emit('message', data);
    });
  } else {
    void socket.join('room');
  }
});
listen(server);
