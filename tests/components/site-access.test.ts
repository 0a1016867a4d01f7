import { SiteAccess } from "../../components";
import { planSite } from "../../planning";
import { record, value } from "./recorder";

const site = planSite({
  site: { name: "office", cluster: "office" },
  servers: {
    srv1: {
      roles: ["hypervisor"],
      cores: 8,
      memoryGiB: 32,
      storages: { tank: { type: "zfspool", sizeGiB: 500, content: ["images"] } },
    },
  },
  guests: {
    web: {
      kind: "vm",
      os: "linux",
      id: 100,
      on: "srv1",
      cores: 1,
      memoryGiB: 1,
      disks: [{ sizeGiB: 8, storage: "tank" }],
    },
  },
});

describe("the accounts of a site", () => {
  it("are users, tokens, roles and the paths where they count, for user and token alike", async () => {
    const { recorder } = await record(() => new SiteAccess("office", { site, duties: ["monitor"] }));
    expect(recorder.one("office-monitor").inputs).toMatchObject({ userId: "coldspare-monitor@pve" });
    expect(recorder.one("office-monitor-token").inputs).toMatchObject({
      tokenName: "office",
      privilegesSeparation: true,
    });
    expect(recorder.one("coldspare-office-monitor-all-guests").inputs).toMatchObject({ privileges: ["VM.Audit"] });
    const acls = recorder.ofType("proxmoxve:index/acl:Acl").filter(({ inputs }) => inputs.path === "/vms");
    expect(acls.map(({ inputs }) => inputs.userId ?? inputs.tokenId).sort()).toEqual([
      "coldspare-monitor@pve",
      "coldspare-monitor@pve!office",
    ]);
    expect(recorder.resources.filter(({ name }) => name.includes("pulumi"))).toEqual([]);
  });

  it("hands out tokens as secrets", async () => {
    const { result } = await record(() => new SiteAccess("office", { site }));
    expect(Object.keys(result.tokens)).toEqual(["pulumi", "operate", "monitor"]);
    expect(await import("@pulumi/pulumi").then(({ isSecret }) => isSecret(result.tokens.pulumi!))).toBe(true);
    expect(await value(result.tokens.pulumi!)).toBeUndefined();
  });
});
