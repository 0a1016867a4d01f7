import { TrialLab } from "./trial-lab";

const SCRIPT = "local:snippets/guard";
const CONFIG = "/nodes/srv1/qemu/100/config";

let lab: TrialLab;
beforeEach(async () => {
  lab = await TrialLab.start();
  await lab.createVm("srv1", 100, { onboot: 1 });
});
afterEach(() => lab.remove());

/** Headers of root@pam itself: by password, not by token. */
const root = async () => {
  const { data } = (
    await lab.call(
      "srv1",
      "POST",
      "/access/ticket",
      { username: "root@pam", password: lab.lab.tokens.rootPassword },
      {},
    )
  ).body;
  return { Cookie: `PVEAuthCookie=${encodeURIComponent(data.ticket)}`, CSRFPreventionToken: data.CSRFPreventionToken };
};

const upload = () => lab.control("POST", "/snippets", { node: "srv1", name: "guard", text: "#!/bin/sh\n" });

describe("a hook script", () => {
  it("must be there, and only root itself may name it or take it away", async () => {
    const missing = await lab.call("srv1", "PUT", CONFIG, { hookscript: SCRIPT }, await root());
    expect([missing.status, missing.body.errors.hookscript]).toEqual([400, `script '${SCRIPT}' does not exist\n`]);
    await upload();
    expect((await lab.call("srv1", "PUT", CONFIG, { hookscript: SCRIPT })).reason).toBe(
      "only root can set 'hookscript' config",
    );
    expect((await lab.call("srv1", "PUT", CONFIG, { hookscript: SCRIPT }, await root())).status).toBe(200);
    expect((await lab.ask("srv1", "GET", CONFIG)).hookscript).toBe(SCRIPT);
    expect((await lab.call("srv1", "PUT", CONFIG, { delete: "hookscript" })).reason).toBe(
      "only root can set 'hookscript' config",
    );
  });

  it("is noted as not run in a lab without real hosts, in each phase, and around the backup of a stopped machine", async () => {
    await upload();
    await lab.call("srv1", "PUT", CONFIG, { hookscript: SCRIPT }, await root());
    await lab.task("srv1", "POST", "/nodes/srv1/vzdump", { vmid: 100, storage: "local" });
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start");
    await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop");
    const calls = (await lab.control("GET", "/hooks")) as { vmid: number; phase: string; code?: number }[];
    expect(calls.map(({ phase }) => phase)).toEqual([
      ...["pre-start", "post-start", "post-stop"],
      ...["pre-start", "post-start", "pre-stop", "post-stop"],
    ]);
    expect(calls.every(({ code }) => code === undefined)).toBe(true);
  });
});

describe("the start of a node's guests", () => {
  it("is given up when there is no quorum within ten seconds, and not tried again", async () => {
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/nodes/srv2/kill");
    await lab.control("POST", "/witnesses/backup-1/kill");
    await lab.control("POST", "/nodes/srv1/revive");
    const tasks = () => lab.ask("srv1", "GET", "/nodes/srv1/tasks", { typefilter: "startall" });
    const [task] = await lab.until(tasks, (found) => found.length > 0);
    expect(task.status).toBe("cluster not ready - no quorum?");
    await lab.control("POST", "/witnesses/backup-1/revive");
    await lab.pass(60);
    expect((await lab.control("GET", "/")).guests[0].running).toBe(false);
  });
});

describe("a machine that hangs", () => {
  it("is gone for the others until it goes on", async () => {
    await lab.control("POST", "/hosts/srv1/freeze");
    expect((await lab.call("srv2", "GET", CONFIG)).status).toBe(595);
    await expect(lab.call("srv1", "GET", "/version")).rejects.toThrow();
    await lab.control("POST", "/hosts/srv1/thaw");
    expect((await lab.call("srv1", "GET", CONFIG)).status).toBe(200);
  });
});
