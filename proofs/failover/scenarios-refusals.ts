/** What failover must refuse: clearly, all at once, and without changing anything. */
import { AT_HOME, runs, type Scenario, tail } from "./scenario";
import type { World } from "./world";

/** A token that may look at everything and change nothing. */
async function auditorToken(world: World): Promise<string> {
  await world.pve.post("/access/users", { userid: "auditor@pve" });
  await world.pve.put("/access/acl", { path: "/", users: "auditor@pve", roles: "PVEAuditor" });
  const { value } = await world.pve.post<{ value: string }>("/access/users/auditor@pve/token/read", { privsep: false });
  return `auditor@pve!read=${value}`;
}

export const refusalScenarios: Scenario[] = [
  {
    name: "bad input is refused, with the way out, and changes nothing",
    fencing: ["confirm"],
    quick: ["confirm"],
    async run(world, check) {
      const readOnly = await auditorToken(world);
      await world.control("POST", "/calls/reset");
      const refused = async (what: string, args: string[], words: RegExp, env: Record<string, string> = {}) => {
        const run = await world.cold(args, env);
        check.that(`refused: ${what}`, run.code === 1 && words.test(run.text), tail(run));
      };
      await refused("a server that is alive", ["failover", "srv2", "--yes", "--confirm-off", "srv2"], /--planned/);
      await refused("a server that carries nothing", ["failover", "backup-1", "--yes"], /backup-1/);
      await refused("without a confirmation", ["failover", "srv2", "--yes"], /--confirm-off|--planned/);
      await refused(
        "a token without privileges",
        ["failover", "srv2", "--planned", "--yes"],
        /VM\.(PowerMgmt|Migrate)/,
        { COLDSPARE_API_TOKEN: readOnly },
      );
      const unknown = await world.cold(["failover", "srv9", "--yes"]);
      check.that("wrong use: an unknown server", unknown.code === 2 && /srv9/.test(unknown.text), tail(unknown));
      const { changing } = await world.control<{ changing: number }>("GET", "/calls");
      check.equal("no call changed anything", changing, 0);
      check.that("the site runs on", await runs(world, AT_HOME, 5), world.running().join(", "));
    },
  },
  {
    name: "a spare that is stale is refused until somebody consents",
    fencing: ["confirm"],
    async run(world, check) {
      await world.pve.put("/cluster/replication/113-0", { disable: true });
      await world.control("POST", "/clock/advance", { seconds: 3600 });
      await world.kill("srv2");
      world.countFrom = world.now();
      const args = ["failover", "srv2", "--guest", "sql-erp", "--confirm-off", "srv2", "--yes"];
      const refused = await world.cold(args);
      check.that(
        "refused, with the age and the word of consent",
        refused.code === 1 && refused.text.includes("--accept-stale"),
        tail(refused),
      );
      const done = await world.cold([...args, "--accept-stale"]);
      check.that("with consent it is done", done.code === 0, tail(done));
    },
  },
  {
    name: "a manifest older than what is on the servers is refused",
    fencing: ["confirm"],
    async run(world, check) {
      const changed = structuredClone(world.site);
      changed.guests!["sql-erp"]!.priority = 91;
      world.writeSite(changed);
      const up = await world.stack.up();
      check.that("a newer manifest is placed", up.code === 0, up.log.slice(-400));
      const old = await world.cold(["failover", "srv2", "--planned", "--yes"]);
      check.that("the old one is refused", old.code === 1 && /older|newer/.test(old.text), tail(old));
      check.that("and nothing has changed", await runs(world, AT_HOME, 5), world.running().join(", "));
    },
  },
];
