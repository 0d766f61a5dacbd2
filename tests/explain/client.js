// A client of Node that the lab puts in the proxy's place: what it is asked it asks the backend, over connections that it
// keeps. Its errors are what is to be explained.
const http = require("node:http");
const [way, listenAddress, port, backend] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

const ways = {
  http: (method, path, body) =>
    new Promise((resolve, reject) => {
      const [host, backendPort] = backend.split(":");
      const request = http.request({ host, port: backendPort, method, path, agent }, (response) => {
        response.on("error", reject).resume().on("end", () => resolve(response.statusCode));
      });
      request.on("error", reject).end(body);
    }),
  fetch: async (method, path, body) => {
    const response = await fetch(`http://${backend}${path}`, { method, body: method === "GET" ? undefined : body });
    await response.arrayBuffer();
    return response.status;
  },
};

http
  .createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    try {
      response.statusCode = await ways[way](request.method, request.url, Buffer.concat(pieces));
    } catch (error) {
      console.error(error);
      response.statusCode = 502;
    }
    response.end("done\n");
  })
  .listen(port, listenAddress);
