import type { IncomingMessage } from "node:http";
import { ApiError } from "./errors";

/** What a request brought along beside its path. */
export interface Body {
  params: Record<string, string>;
  contentType: "form" | "json";
  file?: { name: string; data: Buffer };
}

const LIMIT = 64 * 1024 * 1024;

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LIMIT) throw new ApiError(413, "Payload too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** PVE's form parser: pairs are parted by `&` and also by `;`; a key given twice makes a list. */
export function parseForm(text: string): Record<string, string> {
  const params: Record<string, string> = {};
  for (const pair of text.split(/[&;]/)) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const decode = (part: string) => {
      const spaced = part.replace(/\+/g, " ");
      try {
        return decodeURIComponent(spaced);
      } catch {
        return spaced;
      }
    };
    const key = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decode(pair.slice(equals + 1));
    params[key] = params[key] === undefined ? value : `${params[key]}\0${value}`;
  }
  return params;
}

function jsonText(value: unknown): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (Array.isArray(value)) return value.map(jsonText).join("\0");
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function parseMultipart(data: Buffer, boundary: string): Body {
  const body: Body = { params: {}, contentType: "form" };
  const marker = Buffer.from(`--${boundary}`);
  let start = data.indexOf(marker);
  while (start >= 0) {
    const next = data.indexOf(marker, start + marker.length);
    if (next < 0) break;
    const part = data.subarray(start + marker.length + 2, next - 2);
    const split = part.indexOf("\r\n\r\n");
    const header = part.subarray(0, split).toString();
    const content = part.subarray(split + 4);
    const name = /name="([^"]*)"/.exec(header)?.[1] ?? "";
    const file = /filename="([^"]*)"/.exec(header)?.[1];
    if (file !== undefined) body.file = { name: file, data: Buffer.from(content) };
    else body.params[name] = content.toString();
    start = next;
  }
  return body;
}

/** Reads query and body into one set of parameters. */
export async function readBody(request: IncomingMessage, query: string): Promise<Body> {
  const params = parseForm(query);
  const type = request.headers["content-type"] ?? "";
  const data = await read(request);
  if (data.length === 0) return { params, contentType: "form" };
  if (type.startsWith("multipart/form-data")) {
    const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1] ?? "";
    const parsed = parseMultipart(data, boundary);
    return { ...parsed, params: { ...params, ...parsed.params } };
  }
  if (type.startsWith("application/json")) {
    let value: unknown;
    try {
      value = JSON.parse(data.toString());
    } catch {
      throw new ApiError(400, "malformed JSON string");
    }
    if (typeof value !== "object" || value === null) throw new ApiError(400, "malformed JSON string");
    for (const [key, member] of Object.entries(value)) if (member !== null) params[key] = jsonText(member);
    return { params, contentType: "json" };
  }
  return { params: { ...params, ...parseForm(data.toString()) }, contentType: "form" };
}
