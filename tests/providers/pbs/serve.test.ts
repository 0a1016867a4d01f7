import { readdirSync } from "node:fs";
import { join } from "node:path";
import { providerText } from "../../../providers/dynamic";
import { provider as remotes } from "../../../providers/pbs/remote-handler";
import { provider as users } from "../../../providers/pbs/user-handler";
import { FakePbs, SECRET } from "./fake-pbs";

const folder = join(__dirname, "../../../providers/pbs");
const handlers = readdirSync(folder).flatMap((file) => file.match(/^(.*-handler)\.ts$/)?.[1] ?? []);

describe("what the engine loads for a backup server", () => {
  let pbs: FakePbs;
  const configure = (served: typeof users, config: Record<string, string | undefined>) =>
    served.configure!({ config: { get: (key) => config[key], require: (key) => config[key] ?? "" } });
  const way = () => JSON.stringify({ office: { endpoint: pbs.url, fingerprint: pbs.fingerprint, tokenSecret: "own" } });
  beforeEach(async () => {
    pbs = await FakePbs.start();
  });
  afterEach(() => pbs.end());

  test.each(handlers)("%s is a provider; a preview reaches no server and asks for no credentials", async (name) => {
    const { provider } = require(join(folder, name)) as { provider: typeof users };
    await configure(provider, {});
    expect((await provider.check!({}, { server: "office" })).failures).toEqual([]);
    expect((await provider.diff!("id", { server: "office" }, { server: "attic" })).replaces).toContain("server");
    expect(providerText(`pbs/${name}` as Parameters<typeof providerText>[0])).toContain(
      `coldspare/providers/pbs/${name}`,
    );
  });

  test("settings come from the stack's configuration when a call needs them, anew with each configuration", async () => {
    const inputs = { server: "office", userId: "coldspare@pbs", __provider: "text" };
    await configure(users, { "coldspare:pbs": way() });
    await expect(users.create(inputs)).rejects.toThrow(/--secret coldspare:own/);
    await configure(users, { "coldspare:pbs": way(), "coldspare:own": `admin@pbs!coldspare:${SECRET}` });
    expect(await users.create(inputs)).toEqual({
      id: "office/coldspare@pbs",
      outs: { server: "office", userId: "coldspare@pbs" },
    });
    await expect(users.create({ ...inputs, server: "attic" })).rejects.toThrow(/It knows office/);
  });

  test("a secret by its name", async () => {
    const config = { "coldspare:pbs": way(), "coldspare:own": `admin@pbs!coldspare:${SECRET}` };
    const inputs = { server: "office", name: "main", host: "h", authId: "a@pbs", passwordSecret: "there" };
    await configure(remotes, config);
    await expect(remotes.create(inputs)).rejects.toThrow(/secret there has no value.*--secret coldspare:there/);
    await configure(remotes, { ...config, "coldspare:there": "hunter2" });
    const { outs } = await remotes.create(inputs);
    expect(JSON.stringify(outs)).not.toContain("hunter2");
    expect(pbs.changes()).toEqual(["POST /config/remote name=main&host=h&auth-id=a@pbs&password=hunter2"]);
  });
});
