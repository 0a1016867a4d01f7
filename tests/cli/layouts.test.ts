import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overrideSite, parseSite, planSite, type SiteSpec } from "../../planning";
import { describeLayout, LayoutError, layoutNames, loadLayout, loadSiteFile, openLayout } from "../../stacks/layouts";

const plan = (input: unknown) => planSite(parseSite(input).spec as SiteSpec);
const errors = (input: unknown) => plan(input).findings.filter(({ severity }) => severity === "error");

describe("layouts", () => {
  test.each(layoutNames)("%s fits the schema and says what it is", (name) => {
    expect(parseSite(loadLayout(name)).findings).toEqual([]);
    expect(describeLayout(name)).not.toBe("");
  });

  test("smb-site survives; the variant does not, for memory, cores and storage", () => {
    expect(errors(loadLayout("smb-site"))).toEqual([]);
    const codes = new Set(errors(loadLayout("smb-site-too-large")).map(({ code }) => code));
    expect([...codes].sort()).toEqual(["CAPACITY-CORES", "CAPACITY-GUEST-CORES", "CAPACITY-MEMORY", "STORAGE-FULL"]);
  });

  test.each([
    ["guests.sql-erp.memoryGiB=16", "CAPACITY-MEMORY"],
    ["guests.remote-app.cores=10", "CAPACITY-GUEST-CORES"],
    ["guests.files-1.disks[1].sizeGiB=800", "STORAGE-FULL"],
  ])("each override of the variant is too large by itself: %s", (override, code) => {
    expect(errors(overrideSite(loadLayout("smb-site"), [override])).map((finding) => finding.code)).toContain(code);
    const [path = "", value] = override.split("=");
    const read = path
      .split(/[.[\]]+/)
      .reduce<unknown>((at, key) => Reflect.get(at as object, key), loadLayout("smb-site-too-large"));
    expect(String(read)).toBe(value);
  });

  test("each call reads anew: what a caller changes stays with the caller", () => {
    const one = loadLayout("smb-site") as { site: { name: string } };
    one.site.name = "changed";
    expect((loadLayout("smb-site") as { site: { name: string } }).site.name).toBe("smb");
  });

  test.each(["nowhere", "constructor", "__proto__"])("there is no layout %s", (name) => {
    expect(() => loadLayout(name)).toThrow(LayoutError);
    expect(() => loadLayout(name)).toThrow(/the layouts are smb-site and smb-site-too-large/);
  });

  test("positions of values, in both ways to write a path", () => {
    const { locate } = openLayout("smb-site");
    expect(locate?.("site.name")).toEqual({ line: 4, column: 9 });
    expect(locate?.("guests.files-1.disks[1].sizeGiB")).toEqual(locate?.("guests.files-1.disks.1.sizeGiB"));
    expect(locate?.("guests.nobody")).toBeUndefined();
  });

  test("positions in a derived layout are those of its base, except of what it replaces", () => {
    const base = openLayout("smb-site").locate!;
    const { source, locate } = openLayout("smb-site-too-large");
    expect(source).toBe("smb-site-too-large");
    expect(locate?.("guests.sql-erp")).toEqual({ ...base("guests.sql-erp"), source: "smb-site" });
    expect(locate?.("guests.sql-erp.cores")).toEqual({ ...base("guests.sql-erp.cores"), source: "smb-site" });
    expect(locate?.("guests.sql-erp.memoryGiB")).toBeUndefined();
    expect(locate?.("guests.files-1.disks.1.sizeGiB")).toBeUndefined();
    expect(locate?.("guests.nobody")).toBeUndefined();
  });
});

describe("site files", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-layouts-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const written = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return loadSiteFile(join(folder, name));
  };

  test.each([
    ["site.json", '{ "site": { "name": "a" } '],
    ["site.yaml", "site: *missing"],
    ["site.yaml", "a: [&x 1, *y]"],
    ["site.yaml", "site:\n\tname: a"],
  ])("%s that cannot be read: file, line, column: %j", async (name, text) => {
    await expect(written(name, text)).rejects.toThrow(new RegExp(`${name}:\\d+:\\d+: \\S`));
  });

  test("aliases and merge keys are read", async () => {
    const { input } = await written("site.yaml", "a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: *a\n");
    expect(input).toEqual({ a: { x: 1, y: 2 }, b: { x: 1, y: 3 }, c: { x: 1, y: 2 } });
  });

  test("an avalanche of aliases is refused, not expanded", async () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? "l0: &l0 [x,x,x,x,x,x,x,x,x,x]"
        : `l${level}: &l${level} [${Array(10)
            .fill(`*l${level - 1}`)
            .join(",")}]`,
    );
    await expect(written("site.yaml", levels.join("\n"))).rejects.toThrow(/site\.yaml:1:1: .*alias/i);
  });

  test.each([
    ["an empty file", "", /site\.yaml is empty: begin with a copy of stacks\/smb-site\/site\.yaml$/],
    ["comments alone", "# site\n", /site\.yaml is empty/],
    ["plain text", "our servers are named srv1 and srv2\n", /is no site file: it holds one value, not 'site:'/],
    ["a list", "- srv1\n- srv2\n", /is no site file: it holds a list/],
    ["a picture", "\u0089PNG\r\n\u001a\n\u0000\u0000", /is no site file: it is no UTF-8 text$/],
  ])("%s is said to be no site", async (_kind, text, message) => {
    await expect(written("site.yaml", text)).rejects.toThrow(message);
    await expect(written("site.yaml", text)).rejects.toThrow(LayoutError);
  });

  test("text in another encoding is refused; UTF-8 with its mark is read", async () => {
    writeFileSync(join(folder, "site.yaml"), Buffer.from("site: { name: b\u00fcro }", "latin1"));
    await expect(loadSiteFile(folder)).rejects.toThrow(/no UTF-8 text/);
    expect((await written("site.yaml", "\ufeffsite: { name: b\u00fcro }")).input).toEqual({
      site: { name: "b\u00fcro" },
    });
  });

  test("a file of another kind is refused with the kinds there are", async () => {
    await expect(written("site.toml", "")).rejects.toThrow(/ends in \.yaml, .* not in '\.toml'/);
    await expect(loadSiteFile(folder)).rejects.toThrow(/no site\.yaml in the folder/);
  });
});
