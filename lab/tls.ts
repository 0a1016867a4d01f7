import * as fs from "node:fs";
import * as path from "node:path";
import { generate } from "selfsigned";

/** Files of the lab's own certificate authority and server certificate. */
export interface LabCertificates {
  /** Folder in which the files lie. */
  folder: string;
  caFile: string;
  key: string;
  cert: string;
}

const NAMES = [
  { type: 2 as const, value: "localhost" },
  { type: 7 as const, ip: "127.0.0.1" },
  { type: 7 as const, ip: "::1" },
];

/** Writes a file that only its owner may read. */
export function writePrivate(file: string, text: string): void {
  fs.writeFileSync(file, text, { mode: 0o600 });
  fs.chmodSync(file, 0o600);
}

/**
 * The certificates of a lab folder, made once: clients keep trusting the same CA after a restart.
 */
export async function labCertificates(folder: string): Promise<LabCertificates> {
  const file = (name: string) => path.join(folder, name);
  if (!["ca.pem", "server.pem", "server.key"].every((name) => fs.existsSync(file(name)))) {
    const notBeforeDate = new Date(Date.now() - 24 * 3600 * 1000);
    const notAfterDate = new Date(Date.now() + 10 * 365 * 24 * 3600 * 1000);
    const ca = await generate([{ name: "commonName", value: "Lab CA" }], {
      keyType: "ec",
      algorithm: "sha256",
      notBeforeDate,
      notAfterDate,
      extensions: [
        { name: "basicConstraints", cA: true, critical: true },
        { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    const server = await generate([{ name: "commonName", value: "localhost" }], {
      keyType: "ec",
      algorithm: "sha256",
      notBeforeDate,
      notAfterDate: new Date(Date.now() + 700 * 24 * 3600 * 1000),
      ca: { key: ca.private, cert: ca.cert },
      extensions: [
        { name: "basicConstraints", cA: false },
        { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
        { name: "extKeyUsage", serverAuth: true },
        { name: "subjectAltName", altNames: NAMES },
      ],
    });
    writePrivate(file("ca.key"), ca.private);
    writePrivate(file("server.key"), server.private);
    fs.writeFileSync(file("ca.pem"), ca.cert);
    fs.writeFileSync(file("server.pem"), server.cert);
  }
  return {
    folder,
    caFile: file("ca.pem"),
    key: fs.readFileSync(file("server.key"), "utf8"),
    cert: fs.readFileSync(file("server.pem"), "utf8"),
  };
}

/** A certificate of the lab's CA for one more machine, made once; the CA must be there already. */
export async function machineCertificate(folder: string, name: string): Promise<{ key: string; cert: string }> {
  const file = (ending: string) => path.join(folder, `${name}.${ending}`);
  if (!fs.existsSync(file("key"))) {
    const read = (each: string) => fs.readFileSync(path.join(folder, each), "utf8");
    const made = await generate([{ name: "commonName", value: name }], {
      keyType: "ec",
      algorithm: "sha256",
      notBeforeDate: new Date(Date.now() - 24 * 3600 * 1000),
      notAfterDate: new Date(Date.now() + 700 * 24 * 3600 * 1000),
      ca: { key: read("ca.key"), cert: read("ca.pem") },
      extensions: [
        { name: "basicConstraints", cA: false },
        { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
        { name: "extKeyUsage", serverAuth: true },
        { name: "subjectAltName", altNames: [...NAMES, { type: 2 as const, value: name }] },
      ],
    });
    fs.writeFileSync(file("pem"), made.cert);
    writePrivate(file("key"), made.private);
  }
  return { key: fs.readFileSync(file("key"), "utf8"), cert: fs.readFileSync(file("pem"), "utf8") };
}
