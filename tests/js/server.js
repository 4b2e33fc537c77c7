// A real server on this machine that answers as a test says. `stop` closes it, and what is asked then finds nobody.

import { createServer } from "node:http";

export async function serve(answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const told = { method: request.method, url: request.url, headers: request.headers, body };
    requests.push(told);
    const { status = 200, headers = { "Desk-Fragment": "test" }, text = "" } = (await answer(told)) ?? {};
    response.writeHead(status, { "Content-Type": "text/html", Connection: "close", ...headers }).end(text);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const stop = () => new Promise((done) => server.close(done));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, stop };
}

// The value of a field of a form that was sent in parts.
export const field = (body, name) => new RegExp(`name="${name}"\r\n\r\n(.*?)\r\n`, "s").exec(body)?.[1];
