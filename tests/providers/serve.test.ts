import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pveOptionsFromConfig } from "../../providers/config";
import { providerText } from "../../providers/dynamic";
import { PveError } from "../../providers/pve";
import { type Handler, PartlyInitialised, serve } from "../../providers/serve";

const TOKEN = "coldspare@pve!pulumi=b1946ac9-2492-4d23-8bd2-6c0c4f1a2e77";
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const FAILURE = { server: "srv1", call: "GET /version", status: 401, reason: "Authentication failed!" };

interface Thing {
  size: number;
  tags?: string[];
}

function handler(more: Partial<Handler<Thing, Thing>> = {}): Handler<Thing, Thing> {
  return {
    check: (inputs) => (inputs.size === 0 ? [{ property: "size", reason: "is 0" }] : []),
    diff: (olds, news) => ({ changes: { ...olds, ...news }.size !== olds.size, replaces: [] }),
    create: async (_context, inputs) => ({ id: "1", outs: inputs }),
    read: async (_context, _id, props) => props,
    update: async (_context, _id, _olds, news) => news,
    delete: async () => undefined,
    ...more,
  };
}

async function configured(kind: Handler<Thing, Thing>, config: Record<string, string> = {}) {
  const provider = serve(kind);
  const full: Record<string, string> = {
    "coldspare:endpoints": '{"srv1":"https://127.0.0.1:1"}',
    "coldspare:apiToken": TOKEN,
    ...config,
  };
  const require = (key: string) => full[key]!;
  await provider.configure!({ config: { get: (key) => full[key], require } });
  return provider;
}

describe("between handler and engine", () => {
  test("values that are not known yet are left out of checks, and are a change", async () => {
    const provider = await configured(handler());
    expect((await provider.check!({}, { size: UNKNOWN })).failures).toEqual([]);
    expect((await provider.check!({}, { size: 0 })).failures).toEqual([{ property: "size", reason: "is 0" }]);
    expect((await provider.diff!("1", { size: 1 }, { size: UNKNOWN })).changes).toBe(true);
    expect((await provider.diff!("1", { size: 1 }, { size: 1, tags: [UNKNOWN] })).changes).toBe(true);
    expect((await provider.diff!("1", { size: 1, __provider: "a" }, { size: 1, __provider: "b" })).changes).toBe(false);
  });

  test("the provider's text reaches no handler, and is in what a partly initialised resource leaves", async () => {
    const seen: object[] = [];
    const provider = await configured(
      handler({
        create: async (_context, inputs) => {
          seen.push(inputs);
          throw new PartlyInitialised("1", { size: 1 }, ["first run failed"]);
        },
      }),
    );
    const error = await provider.create({ size: 1, __provider: "text" }).catch((thrown: unknown) => thrown);
    expect(seen).toEqual([{ size: 1 }]);
    expect(error).toMatchObject({
      id: "1",
      properties: { size: 1, __provider: "text" },
      reasons: ["first run failed"],
    });
  });

  test("a resource that is gone has no id", async () => {
    const provider = await configured(handler({ read: async () => undefined }));
    expect(await provider.read!("1", { size: 1 })).toEqual({ id: "", props: {} });
  });

  test("an error of ours is printed without a stack, others with theirs", async () => {
    const failing = (error: Error) =>
      configured(handler({ read: () => Promise.reject(error), delete: () => Promise.reject(error) }));
    const ours = await failing(new PveError(FAILURE));
    for (const work of [ours.read!("1", {}), ours.delete!("1", {})]) {
      expect(((await work.catch((thrown: unknown) => thrown)) as Error).stack).toBe("");
    }
    const bug = await failing(new TypeError("x is undefined"));
    expect(((await bug.read!("1", {}).catch((thrown: unknown) => thrown)) as Error).stack).toContain("serve.test");
  });

  test("a preview needs no credentials; the first call that does names what to set", async () => {
    const provider = await configured(
      handler({ create: async ({ pve }) => ({ id: "1", outs: { size: await pve.get<number>("/version") } }) }),
      { "coldspare:endpoints": "", "coldspare:apiToken": "" },
    );
    expect((await provider.check!({}, { size: 1 })).failures).toEqual([]);
    await expect(provider.create({ size: 1 })).rejects.toThrow(
      /The stack does not say how to reach Proxmox VE\. Fix: `pulumi config set --path 'coldspare:endpoints\.<server>' .*` and `pulumi config set --secret coldspare:apiToken/,
    );
  });
});

test("the way over SSH is asked for when a handler needs it, and not before", async () => {
  const asking = handler({ create: async ({ ssh }) => ({ id: ssh().user ?? "", outs: { size: 1 } }) });
  await expect((await configured(asking)).create({ size: 1 })).rejects.toThrow(
    /does not say how to reach the servers over SSH\. Fix: `pulumi config set --path 'coldspare:ssh\.hostKeys\.<server>\[0\]'/,
  );
  const ssh = { "coldspare:ssh": '{"user":"me","hostKeys":{}}' };
  expect((await (await configured(asking, ssh)).create({ size: 1 })).id).toBe("me");
});

describe("configuration", () => {
  const read = (config: Record<string, string>) => (key: string) => config[key];
  const good = { "coldspare:endpoints": '{"srv1":"https://a:8006"}', "coldspare:apiToken": TOKEN };

  test("endpoints, token, CA as text or file, and pins", () => {
    const folder = mkdtempSync(join(tmpdir(), "coldspare-config-"));
    try {
      writeFileSync(join(folder, "ca.pem"), "PEM");
      const endpoints = { srv1: "https://a:8006" };
      expect(pveOptionsFromConfig(read(good))).toEqual({ endpoints, apiToken: TOKEN });
      expect(pveOptionsFromConfig(read({ ...good, "coldspare:ca": "TEXT" })).ca).toBe("TEXT");
      expect(pveOptionsFromConfig(read({ ...good, "coldspare:caFile": join(folder, "ca.pem") })).ca).toBe("PEM");
      expect(pveOptionsFromConfig(read({ ...good, "coldspare:fingerprints": '{"srv1":"AB"}' })).fingerprints).toEqual({
        srv1: "AB",
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    [
      "coldspare:endpoints",
      "https://a:8006",
      /coldspare:endpoints is no object of server names and texts\. Fix: `pulumi config set --path 'coldspare:endpoints/,
    ],
    ["coldspare:endpoints", '["https://a:8006"]', /is no object/],
    ["coldspare:fingerprints", '{"srv1":1}', /coldspare:fingerprints is no object/],
    [
      "coldspare:caFile",
      "/nowhere/ca.pem",
      /coldspare:caFile, '\/nowhere\/ca\.pem', cannot be read .* Fix: copy \/etc\/pve\/pve-root-ca\.pem/,
    ],
  ])("%s = %s says what to write", (key, value, message) => {
    expect(() => pveOptionsFromConfig(read({ ...good, [key]: value }))).toThrow(message);
  });
});

describe("the provider's text", () => {
  const text = providerText("replication-pair-handler");

  test("is a few hundred bytes and holds no path of this machine", () => {
    expect(Buffer.byteLength(text)).toBeLessThan(300);
    expect(text).not.toContain(process.cwd());
  });

  // As the provider process does it: the text has no file name, and the working directory is the program's folder.
  const load = (cwd: string) =>
    execFileSync(
      process.execPath,
      [
        "-e",
        `const r=require("${require.resolve("require-from-string")}");console.log(r(process.argv[1]).handler().name)`,
        text,
      ],
      { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
    ).trim();

  const withPackage = (folder: string) => {
    const handlers = join(folder, "dist/providers");
    mkdirSync(handlers, { recursive: true });
    const exports = { "./providers/*": "./dist/providers/*.js" };
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "coldspare", exports }));
    writeFileSync(join(handlers, "replication-pair-handler.js"), "exports.provider = { name: 'found' };");
  };

  test("finds the handler in a project that installed the package, from any folder in it, and in the package's own checkout", () => {
    const folder = mkdtempSync(join(tmpdir(), "coldspare-text-"));
    try {
      const project = join(folder, "project/program");
      mkdirSync(project, { recursive: true });
      withPackage(join(folder, "project/node_modules/coldspare"));
      expect(load(project)).toBe("found");
      withPackage(join(folder, "checkout"));
      mkdirSync(join(folder, "checkout/dist/stacks"));
      expect(load(join(folder, "checkout/dist/stacks"))).toBe("found");
      expect(() => load(folder)).toThrow(/Cannot find module 'coldspare\/providers\/replication-pair-handler'/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
