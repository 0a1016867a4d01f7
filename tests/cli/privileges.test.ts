import { coldspare } from "./run";

describe("coldspare privileges", () => {
  it("prints three accounts as commands, and nothing else but comments", async () => {
    const { code, out, err } = await coldspare(["privileges", "smb-site"]);
    expect([code, err]).toEqual([0, ""]);
    const lines = out.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines.filter((line) => !line.startsWith("pveum "))).toEqual([]);
    expect(out.match(/user token add/g)).toHaveLength(3);
    expect(out).toContain("hookscript of a guest");
  });

  it("prints one account, and the same as JSON", async () => {
    const one = await coldspare(["privileges", "smb-site", "--for", "monitor"]);
    expect(one.out).not.toContain("coldspare-pulumi");
    const { out } = await coldspare(["privileges", "smb-site", "--for", "monitor", "--json"]);
    const document = JSON.parse(out);
    expect(document.accounts.map(({ duty }: { duty: string }) => duty)).toEqual(["monitor"]);
    expect(document.commands.monitor.length).toBeGreaterThan(3);
  });

  it("refuses an account that there is not, and a site that cannot be planned", async () => {
    const unknown = await coldspare(["privileges", "smb-site", "--for", "root"]);
    expect([unknown.code, unknown.err]).toEqual([2, "error: --for root: write pulumi, operate or monitor\n"]);
    const missing = await coldspare(["privileges", "./nowhere.yaml"]);
    expect(missing.code).toBe(2);
    expect(missing.err).toContain("there is no file");
  });
});
