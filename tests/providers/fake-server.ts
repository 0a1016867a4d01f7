/** A small HTTPS server that answers as it is told: for the wire, the errors and the patience of the client. */
import { randomUUID, X509Certificate } from "node:crypto";
import * as https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { generate } from "selfsigned";

export interface FakeRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  form: Record<string, string>;
  /** The body as it came, for names that are repeated in it. */
  body: string;
  authorization: string;
}

export interface FakeAnswer {
  status?: number;
  reason?: string;
  data?: unknown;
  body?: string;
  /** Cuts the connection instead of answering. */
  cut?: boolean;
  /** Never answers. */
  hang?: boolean;
}

export interface Fake {
  url: string;
  port: number;
  pem: string;
  fingerprint: string;
  requests: FakeRequest[];
  close(): Promise<void>;
}

export interface Certificate {
  private: string;
  cert: string;
}

/** A self-signed certificate for the given address or name. */
export function makeCertificate(name = "127.0.0.1"): Promise<Certificate> {
  const address = /^[0-9.]+$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name };
  // Names of their own: among trusted certificates of one name, OpenSSL would try only the first.
  return generate([{ name: "commonName", value: `${name} ${randomUUID()}` }], {
    keySize: 2048,
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [address] },
    ],
  });
}

let shared: Promise<Certificate> | undefined;

export async function startFake(
  answer: (request: FakeRequest, count: number) => FakeAnswer,
  options: { certificate?: Certificate; port?: number } = {},
): Promise<Fake> {
  shared ??= makeCertificate();
  const certificate = options.certificate ?? (await shared);
  const requests: FakeRequest[] = [];
  const sockets = new Set<Socket>();
  const server = https.createServer({ key: certificate.private, cert: certificate.cert }, (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const url = new URL(incoming.url ?? "/", "https://fake");
      const body = Buffer.concat(chunks).toString();
      const request: FakeRequest = {
        method: incoming.method ?? "",
        path: url.pathname.replace("/api2/json", ""),
        query: Object.fromEntries(url.searchParams),
        form: Object.fromEntries(new URLSearchParams(body)),
        body,
        authorization: incoming.headers.authorization ?? "",
      };
      requests.push(request);
      const said = answer(request, requests.length);
      if (said.hang) return;
      if (said.cut) return void incoming.socket.destroy();
      const text = said.body ?? JSON.stringify({ data: said.data ?? null });
      outgoing.writeHead(said.status ?? 200, said.reason ?? "OK", { "Content-Type": "application/json" });
      outgoing.end(text);
    });
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    pem: certificate.cert,
    fingerprint: new X509Certificate(certificate.cert).fingerprint256,
    requests,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
