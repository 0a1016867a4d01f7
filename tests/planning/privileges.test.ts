/** What a site's accounts may do: exactly what its specification makes necessary, as the published API states it. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { planSite, type SiteSpecInput } from "../../planning";
import { needs, planPrivileges, pveumCommands, rootOnly } from "../../planning/privileges";

const layout = () =>
  parse(readFileSync(resolve(__dirname, "../../stacks/smb-site/site.yaml"), "utf8")) as SiteSpecInput;

const small: SiteSpecInput = {
  site: { name: "office", cluster: "office" },
  servers: {
    srv1: {
      roles: ["hypervisor"],
      cores: 8,
      memoryGiB: 32,
      storages: { tank: { type: "zfspool", sizeGiB: 500, content: ["images"] } },
    },
  },
  networks: { lan: { bridge: "vmbr7" } },
  guests: {
    web: {
      kind: "vm",
      os: "linux",
      id: 100,
      on: "srv1",
      cores: 1,
      memoryGiB: 1,
      disks: [{ sizeGiB: 8, storage: "tank" }],
      networks: [{ network: "lan" }],
    },
  },
};

/** Privileges by path of one account. */
function granted(site: SiteSpecInput, duty: string, anyId = false): Record<string, string[]> {
  const account = planPrivileges(planSite(site), { anyId }).find((each) => each.duty === duty);
  const rows = (account?.roles ?? []).flatMap(({ privileges, paths }) =>
    paths.map(({ path, propagate }) => [propagate ? path : `${path} alone`, privileges] as const),
  );
  return Object.fromEntries(rows);
}

it("gives monitoring nothing that changes a guest, and what it takes to see backups", () => {
  const may = granted(layout(), "monitor");
  const privileges = [...new Set(Object.values(may).flat())].sort();
  const audit = ["Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"];
  expect(privileges).toEqual([...audit, "Datastore.AllocateSpace", "VM.Backup"].sort());
  expect(may["/storage/backup-nfs"]).toEqual(["Datastore.AllocateSpace", "Datastore.Audit"]);
  expect(may["/storage"]).toEqual(["Datastore.Audit"]);
});

it("gives the program its own guests, storages and bridges, and no others", () => {
  const may = granted(small, "pulumi");
  expect(Object.keys(may).sort()).toEqual([
    "/",
    "/sdn/zones/localnetwork/vmbr7",
    "/storage",
    "/storage/tank",
    "/vms",
    "/vms/100",
  ]);
  expect(may["/vms"]).toEqual(["VM.Audit"]);
  expect(may["/storage/tank"]).toEqual(["Datastore.AllocateSpace", "Datastore.Audit"]);
  expect(may["/vms/100"]).not.toContain("VM.Replicate");
});

it("adds what a specification adds: replication, backup jobs, managed storages, images, pools, settings of servers", () => {
  const may = granted(layout(), "pulumi");
  expect(may["/vms/113"]).toContain("VM.Replicate");
  expect(may["/vms/112"]).not.toContain("VM.Replicate");
  expect(may["/ alone"]).toEqual(["Sys.Modify"]);
  expect(may["/nodes/srv1"]).toEqual(["Sys.AccessNetwork", "Sys.Audit", "Sys.Modify"]);
  expect(may["/storage"]).toContain("Datastore.Allocate");
  const pooled = structuredClone(small);
  pooled.guests!.web!.pool = "erp";
  expect(granted(pooled, "pulumi")["/pool/erp"]).toEqual(["Pool.Allocate", "Pool.Audit"]);
});

it("lets operators make guests under the ids of copies only, unless they are told otherwise", () => {
  expect(granted(layout(), "operate")["/vms"]).toEqual(["VM.Audit"]);
  expect(granted(layout(), "operate")["/vms/900000113"]).toContain("VM.Allocate");
  expect(granted(layout(), "operate", true)["/vms"]).toContain("VM.Allocate");
});

it("says again further down what counts above: there an entry replaces what is inherited", () => {
  for (const duty of ["pulumi", "operate", "monitor"] as const) {
    const may = granted(layout(), duty);
    for (const [path, privileges] of Object.entries(may)) {
      if (path.startsWith("/vms/")) expect(privileges).toEqual(expect.arrayContaining(may["/vms"]!));
      if (path.startsWith("/storage/")) expect(privileges).toEqual(expect.arrayContaining(may["/storage"]!));
    }
  }
});

it("prints commands in an order that works: roles and user, then the token, then where they count", () => {
  const [program] = planPrivileges(planSite(small));
  const commands = pveumCommands(program!);
  const first = (word: string) => commands.findIndex((command) => command.startsWith(`pveum ${word}`));
  expect(first("role add")).toBeLessThan(first("user token add"));
  expect(first("user add")).toBeLessThan(first("user token add"));
  expect(first("user token add")).toBeLessThan(first("acl modify"));
  expect(commands).toContain(
    "pveum acl modify /vms/100 --users coldspare-pulumi@pve --tokens 'coldspare-pulumi@pve!office' --roles coldspare-office-pulumi-guests",
  );
  expect(rootOnly.length).toBeGreaterThan(0);
});

type Check = { user?: string; check?: unknown[] };
const file = process.env.COLDSPARE_PVE_SCHEMA;
const published = file !== undefined && existsSync(file) ? it : it.skip;
if (file === undefined)
  process.stderr.write("tests/planning/privileges: SKIPPED: no published API schema (COLDSPARE_PVE_SCHEMA)\n");

published("asks for what the published API asks for, call by call", () => {
  const { paths } = JSON.parse(readFileSync(join(file!), "utf8")) as {
    paths: Record<string, Record<string, { permissions?: Check }>>;
  };
  const wrong = needs.flatMap(({ call, privileges, inside }) => {
    const [method = "", path = ""] = call.split(" ");
    const known = paths[path]?.[method];
    if (known === undefined) return [`${call}: the API has no such call`];
    const { user, check } = known.permissions ?? {};
    if (check === undefined)
      return inside === undefined || user !== "all" ? [`${call}: ${JSON.stringify(known.permissions)}`] : [];
    // What is checked inside comes on top of what is published.
    if (inside !== undefined) return [];
    const named: string[] = JSON.stringify(check).match(/[A-Z][A-Za-z]+\.[A-Za-z.]+/g) ?? [];
    return privileges.some((privilege) => named.includes(privilege)) ? [] : [`${call}: asks for ${named.join(", ")}`];
  });
  expect(wrong).toEqual([]);
});
