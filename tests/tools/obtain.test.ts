import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTool } from "./load";
import { closedPort, inFolder, serve } from "./serve";

interface Group {
  names: string[];
  what: string;
  part: { version: string; official: string; checksums: string };
  dir: string;
  files: string[];
  script?: string;
  build: { module: string; programs: object; ldflags: string };
  verify: (dir: string, way: string) => Promise<void>;
}
interface Store {
  dir: string;
  part(name: string, mode?: string): { way: string; version: string } | undefined;
}
const { obtain } = loadTool<{ obtain(options: object): Promise<string> }>("obtain.mjs");
const { openStore } = loadTool<{ openStore(key: string, env: object): Store }>("store.mjs");

const platform = { os: "linux", x64: "x64", amd64: "amd64" };

/** A release host with one archive, whose published checksum may be a wrong one. */
async function releaseHost(folder: string, published?: string, listed = true) {
  mkdirSync(join(folder, "content"));
  writeFileSync(join(folder, "content", "tool"), "#!/bin/sh\necho v1.2.3\n", { mode: 0o755 });
  const archive = join(folder, "tool-1.2.3-linux-amd64.tar.gz");
  spawnSync("tar", ["-czf", archive, "-C", join(folder, "content"), "tool"]);
  const bytes = readFileSync(archive);
  const sum = published ?? createHash("sha256").update(bytes).digest("hex");
  const requests: string[] = [];
  const server = await serve((request, response) => {
    requests.push(request.url ?? "");
    if (request.url === "/sums.txt" && !listed) response.writeHead(404).end();
    else if (request.url === "/sums.txt") response.end(`${sum}  tool-1.2.3-linux-amd64.tar.gz\n`);
    else response.end(bytes);
  });
  return { ...server, requests };
}

function setting(folder: string, host: string, way: string, verify: Group["verify"] = async () => {}) {
  const official = `${host}/tool-{version}-{os}-{amd64}.tar.gz`;
  const group: Group = {
    names: ["tool"],
    what: "tool 1.2.3",
    part: { version: "1.2.3", official, checksums: `${host}/sums.txt` },
    dir: "bin",
    files: ["tool"],
    build: { module: "none", programs: { tool: "." }, ldflags: "" },
    verify,
  };
  const store = openStore("test", { XDG_CACHE_HOME: join(folder, "cache") });
  const built: string[] = [];
  const build = async ({ outDir }: { outDir: string }) => {
    mkdirSync(outDir, { recursive: true });
    writeFileSync(join(outDir, "tool"), "built");
    built.push(outDir);
  };
  const said: string[] = [];
  const log = Object.assign((text: string) => said.push(text), { status: () => {} });
  const options = { group, store, way, platform, log, env: {}, unreachable: new Set(), build, connectSeconds: 1 };
  return { options, store, built, said, file: join(store.dir, "bin", "tool") };
}

test("the publisher's download comes first, and is checked against the publisher's list", () =>
  inFolder(async (folder) => {
    const host = await releaseHost(folder);
    const { options, store, built, file } = setting(folder, host.url, "auto");
    await expect(obtain(options)).resolves.toBe("downloaded and verified");
    expect(host.requests).toEqual(["/sums.txt", "/tool-1.2.3-linux-amd64.tar.gz"]);
    expect(built).toEqual([]);
    expect(readFileSync(file, "utf8")).toContain("v1.2.3");
    expect(store.part("tool")).toMatchObject({ way: "download", version: "1.2.3" });
    expect(store.part("tool", "build")).toBeUndefined();
    await host.close();
  }));

test("a host that cannot be reached means: build", () =>
  inFolder(async (folder) => {
    const { options, store, built, said } = setting(folder, await closedPort(), "auto");
    await expect(obtain(options)).resolves.toBe("built and verified");
    expect(built).toHaveLength(1);
    expect(store.part("tool")).toMatchObject({ way: "build" });
    expect(said[0]).toMatch(/^tool 1\.2\.3: no download: 127\.0\.0\.1:\d+ cannot be reached/);
  }));

test("a silent host costs its timeout once, not once for each part", () =>
  inFolder(async (folder) => {
    const server = await serve(() => {});
    const { options } = setting(folder, server.url, "auto");
    await obtain(options);
    expect([...options.unreachable]).toEqual([new URL(server.url).host]);
    const start = Date.now();
    await obtain(options);
    expect(Date.now() - start).toBeLessThan(500);
    await server.close();
  }));

test("a file that is not what its publisher lists is refused, and nothing of it stays", () =>
  inFolder(async (folder) => {
    const host = await releaseHost(folder, "0".repeat(64));
    const { options, store, file, said } = setting(folder, host.url, "download");
    await expect(obtain(options)).rejects.toThrow(`but its publisher lists ${"0".repeat(64)}: refused`);
    expect(existsSync(file)).toBe(false);
    expect(store.part("tool")).toBeUndefined();
    expect(said.join()).toContain("refused");
    await host.close();
  }));

test("a publisher without a list of checksums is trusted for its address, aloud, and what it gave is still verified", () =>
  inFolder(async (folder) => {
    const host = await releaseHost(folder, undefined, false);
    const verified: string[] = [];
    const verify = async (dir: string) => void verified.push(dir);
    const { options, said, built } = setting(folder, host.url, "auto", verify);
    await expect(obtain(options)).resolves.toBe("downloaded and verified");
    expect(said[0]).toMatch(
      /^tool-1\.2\.3-linux-amd64\.tar\.gz: its publisher has no list of checksums at .*\/sums\.txt/,
    );
    expect(verified).toHaveLength(1);
    expect(built).toEqual([]);
    await host.close();
  }));

test("a download that does not run as the pinned version is removed, and built instead", () =>
  inFolder(async (folder) => {
    const host = await releaseHost(folder);
    const verify = async (_dir: string, way: string) => {
      if (way === "download") throw Object.assign(new Error("tool is 1.2.2"), { name: "VerifyError" });
    };
    const { options, built } = setting(folder, host.url, "auto", verify);
    await expect(obtain(options)).resolves.toBe("built and verified");
    expect(built).toHaveLength(1);
    await host.close();
  }));

test("'download' never builds, 'build' never asks a host", () =>
  inFolder(async (folder) => {
    const closed = setting(folder, await closedPort(), "download");
    await expect(obtain(closed.options)).rejects.toMatchObject({ name: "UnreachableError" });
    expect(closed.built).toEqual([]);
    const host = await serve(() => {
      throw new Error("asked");
    });
    const forced = setting(folder, host.url, "build");
    await expect(obtain(forced.options)).resolves.toBe("built and verified");
    await host.close();
  }));

test("a verified file that was changed later does not count as there", () =>
  inFolder(async (folder) => {
    const { options, store, file } = setting(folder, await closedPort(), "auto");
    await obtain(options);
    writeFileSync(file, "cut");
    expect(store.part("tool")).toBeUndefined();
  }));
