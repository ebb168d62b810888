// Bun: GET /sub is a WebSocket, POST /pub goes to all.
const server = Bun.serve({
  port: Number(process.argv[2]),
  hostname: '127.0.0.1',
  async fetch(request, server) {
    if (request.method === 'GET' && server.upgrade(request)) return;
    server.publish('all', await request.text());
    return new Response(null, { status: 204 });
  },
  websocket: { perMessageDeflate: false, idleTimeout: 0, open: (socket) => socket.subscribe('all'), message() {} },
});
