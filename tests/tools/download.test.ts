import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTool } from "./load";
import { closedPort, inFolder, serve } from "./serve";

interface Options {
  connectSeconds?: number;
  onProgress?: (done: number, total?: number) => void;
}
const { fetchText, fetchToFile, checksumFor, sha256OfFile } = loadTool<{
  fetchText(url: string, options?: Options): Promise<string>;
  fetchToFile(url: string, path: string, options?: Options): Promise<void>;
  checksumFor(list: string, file: string): string;
  sha256OfFile(path: string): Promise<string>;
}>("download.mjs");

const sum = "a".repeat(64);

test.each([
  ["two spaces", `${sum}  tool.tar.gz`],
  ["a star, as for binary files", `${sum} *tool.tar.gz`],
  ["other files around", `${"b".repeat(64)}  other.tar.gz\n${sum.toUpperCase()}  ./tool.tar.gz\n`],
])("finds a file in a list of checksums: %s", (_name, list) => {
  expect(checksumFor(list, "tool.tar.gz")).toBe(sum);
});

test.each([
  ["missing", `${sum}  other.tar.gz`],
  ["only a longer name", `${sum}  tool.tar.gz.sig`],
  ["no SHA-256", "abc  tool.tar.gz"],
])("refuses a list that does not name the file: %s", (_name, list) => {
  expect(() => checksumFor(list, "tool.tar.gz")).toThrow("does not name tool.tar.gz");
});

test("plain HTTP is refused, but for this machine", async () => {
  await expect(fetchText("http://example.com/x")).rejects.toThrow("is not HTTPS");
});

test("a closed port is 'cannot be reached'", async () => {
  await expect(fetchText(`${await closedPort()}/x`)).rejects.toMatchObject({ name: "UnreachableError" });
});

test("a silent host is given up after the timeout", async () => {
  const server = await serve(() => {});
  const start = Date.now();
  await expect(fetchText(`${server.url}/x`, { connectSeconds: 0.2 })).rejects.toThrow("no answer within 0.2 s");
  expect(Date.now() - start).toBeLessThan(3000);
  await server.close();
});

test("an answer that is no file is not 'cannot be reached'", async () => {
  const server = await serve((_request, response) => response.writeHead(404).end());
  await expect(fetchText(`${server.url}/x`)).rejects.toMatchObject({ name: "DownloadError", status: 404 });
  await server.close();
});

test("an interrupted transfer goes on where it was", () =>
  inFolder(async (folder) => {
    const content = "0123456789".repeat(1000);
    const ranges: (string | undefined)[] = [];
    const server = await serve((request, response) => {
      ranges.push(request.headers.range);
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const rest = content.slice(from);
      response.writeHead(from > 0 ? 206 : 200, { "content-length": rest.length }).end(rest);
    });
    const path = join(folder, "file");
    writeFileSync(`${path}.part`, content.slice(0, 4000));
    const seen: [number, number | undefined][] = [];
    await fetchToFile(`${server.url}/file`, path, { onProgress: (done, total) => seen.push([done, total]) });
    expect(readFileSync(path, "utf8")).toBe(content);
    expect(ranges).toEqual(["bytes=4000-"]);
    expect(seen.at(-1)).toEqual([10_000, 10_000]);
    expect(await sha256OfFile(path)).toBe(createHash("sha256").update(content).digest("hex"));
    await server.close();
  }));

test("a transfer that breaks off keeps what came", () =>
  inFolder(async (folder) => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { "content-length": 1000 });
      response.write("x".repeat(100), () => response.destroy());
    });
    const path = join(folder, "file");
    await expect(fetchToFile(`${server.url}/file`, path)).rejects.toThrow("broke off");
    expect(existsSync(path)).toBe(false);
    expect(existsSync(`${path}.part`)).toBe(true);
    await server.close();
  }));
