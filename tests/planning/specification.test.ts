import {
  defineSite,
  OverrideError,
  overrideSite,
  parseSite,
  planSite,
  type SiteSpecInput,
  siteJsonSchema,
} from "../../planning";
import { cleanSite, smbSite } from "./sites";

describe("reading a specification", () => {
  test("fills in defaults", () => {
    const { spec, findings } = parseSite({
      site: { name: "a" },
      servers: { s: { roles: ["hypervisor"], cores: 4, memoryGiB: 8 } },
    });
    expect(findings).toEqual([]);
    expect(spec?.site.fencing).toBe("confirm");
    expect(spec?.servers.s?.hostReserve).toEqual({ cores: 1, memoryGiB: 4 });
    expect(spec?.policies.coreOvercommit).toBe(3);
  });

  test("a specification that is parsed already is parsed again without a change", () => {
    const { spec } = parseSite(smbSite());
    expect(parseSite(spec)).toEqual({ spec, findings: [] });
  });

  test("what is new is optional, has defaults, and is parsed again without a change", () => {
    const spec = overrideSite(cleanSite(), [
      "site.lease.termSeconds=30",
      'servers.one.power={"kind":"command","off":["plug","off"],"status":["plug"]}',
      'guests.mail.commands=[{"when":"before-stop","run":["say","bye"]}]',
      'guests.mail.coldReplica.reIp=[{"from":"10.0.2.0/24","to":"10.0.2.0/24"}]',
      'groups.office={"guests":["mail"]}',
      'drills.all={"schedule":"monthly"}',
    ]);
    const { spec: parsed, findings } = parseSite(spec);
    expect(findings).toEqual([]);
    expect(parsed?.site.lease).toEqual({ termSeconds: 30, renewSeconds: 10, marginSeconds: 75, watchdogSeconds: 60 });
    expect(parsed?.guests.mail?.commands).toEqual([
      { when: "before-stop", on: "operator", run: ["say", "bye"], timeoutSeconds: 60, required: false },
    ]);
    expect(parsed?.groups.office).toEqual({ guests: ["mail"], order: 50, delaySeconds: 0, commands: [] });
    expect(parsed?.guests.wiki).toMatchObject({ commands: [], coldReplica: { networks: {}, reIp: [] } });
    expect(parseSite(parsed)).toEqual({ spec: parsed, findings: [] });
  });

  test("all mistakes at once, those of the schema and those of the plan", () => {
    const wrong = overrideSite(cleanSite(), [
      "guests.mail.memroyGiB=9",
      "servers.one.colour=red",
      "guests.wiki.coldReplica.on=two",
      "guests.mail.networks[0].address=10.0.9.1",
    ]);
    const { findings, ok, guests } = planSite(wrong as SiteSpecInput);
    expect(ok).toBe(false);
    expect(Object.keys(guests)).toEqual(["mail", "wiki"]);
    expect(findings.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      "SPEC-UNKNOWN-KEY guests.mail.memroyGiB",
      "ADDRESS-OUTSIDE-SUBNET guests.mail.networks[0].address",
      "REPLICA-ON-PRIMARY guests.wiki.coldReplica.on",
      "SPEC-UNKNOWN-KEY servers.one.colour",
    ]);
  });

  test("with a value of the wrong type there is no plan, and every such value is named", () => {
    const wrong = overrideSite(cleanSite(), [
      "guests.mail.cores=two",
      "guests.wiki.cores=0",
      "site.fencing=hope",
      "servres={}",
    ]);
    const plan = planSite(wrong as SiteSpecInput);
    expect(plan.ok).toBe(false);
    expect([plan.guests, plan.servers, plan.losses]).toEqual([{}, {}, {}]);
    expect(plan.site.name).toBe("office");
    expect(plan.findings.map(({ message }) => message)).toEqual([
      'guests.mail.cores is "two": expected a number.',
      "guests.wiki.cores is 0: must be greater than 0.",
      "'servres' is no key of the specification: did you mean 'servers'?",
      'site.fencing is "hope": expected confirm, power or lease.',
    ]);
  });

  test.each([
    [undefined, "(the whole specification) is missing (an object)."],
    ["site: {}", '(the whole specification) is "site: {}": expected an object.'],
    [[], "(the whole specification) is []: expected an object."],
  ])("%j is no specification", (input, message) => {
    expect(parseSite(input).findings.map((finding) => finding.message)).toContain(message);
  });

  test("defineSite returns what it gets", () => {
    const spec = cleanSite();
    expect(defineSite(spec)).toBe(spec);
  });

  test("the JSON Schema knows every section", () => {
    const { properties, $id } = siteJsonSchema() as { properties: object; $id: string };
    expect($id).toContain("site.schema.json");
    expect(Object.keys(properties)).toEqual(
      expect.arrayContaining(["site", "servers", "guests", "groups", "drills", "backups", "policies"]),
    );
    const text = JSON.stringify(properties);
    for (const key of ["lease", "power", "probes", "commands", "reIp"]) expect(text).toContain(`"${key}":{`);
  });
});

describe("overrides", () => {
  const read = (spec: unknown, path: string) =>
    path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], spec);

  test.each<[string, string, unknown]>([
    ["guests.mail.memoryGiB=24", "guests.mail.memoryGiB", 24],
    ["guests.mail.on=two", "guests.mail.on", "two"],
    ["guests.mail.sheddable=true", "guests.mail.sheddable", true],
    ['guests.mail.description="24"', "guests.mail.description", "24"],
    ["guests.mail.disks[0].sizeGiB=7", "guests.mail.disks.0.sizeGiB", 7],
    ["guests.mail.disks.0.sizeGiB=7", "guests.mail.disks.0.sizeGiB", 7],
    ["guests.mail.boot.order=5", "guests.mail.boot.order", 5],
    ['guests.mail.disks[1]={"sizeGiB":1,"storage":"tank"}', "guests.mail.disks.1.storage", "tank"],
    ["guests.mail.coldReplica.schedule=mon..fri 8..18:0/30", "guests.mail.coldReplica.schedule", "mon..fri 8..18:0/30"],
    ["site.description=a=b", "site.description", "a=b"],
    ["guests.mail.coldReplica=null", "guests.mail.coldReplica", undefined],
    ["policies.linkMbps=10000", "policies.linkMbps", 10_000],
  ])("%s", (override, path, value) => {
    expect(read(overrideSite(cleanSite(), [override]), path)).toEqual(value);
  });

  test("what was given stays as it was, also where two entries are one object", () => {
    const shared = { cores: 2 };
    const spec = { servers: { one: shared, two: shared } };
    expect(overrideSite(spec, ["servers.one.cores=4"])).toEqual({ servers: { one: { cores: 4 }, two: { cores: 2 } } });
    expect(spec.servers.one).toEqual({ cores: 2 });
  });

  test.each([
    ["guests.mail.memoryGiB", "'guests.mail.memoryGiB' cannot be applied: it has no '='."],
    ["=5", "'=5' cannot be applied: it has no path."],
    ["guests..mail=5", "'guests..mail=5' cannot be applied: 'guests..mail' has an empty key."],
    [
      "guests.mail.cores.count=2",
      "'guests.mail.cores.count=2' cannot be applied: guests.mail.cores is 2, which has no 'count' in it.",
    ],
    [
      "guests.mail.disks[7].sizeGiB=2",
      "'guests.mail.disks[7].sizeGiB=2' cannot be applied: guests.mail.disks is a list of 1, which has no entry '7'.",
    ],
    [
      "guests.mail.disks.first=2",
      "'guests.mail.disks.first=2' cannot be applied: guests.mail.disks is a list of 1, which has no entry 'first'.",
    ],
    ["guests.mial.memoryGiB=3", "'guests.mial.memoryGiB=3' cannot be applied: guests has no 'mial'."],
    ["devices.printer.address=::1", "'devices.printer.address=::1' cannot be applied: devices has no 'printer'."],
    ["guests.__proto__.on=x", "'guests.__proto__.on=x' cannot be applied: '__proto__' is no key."],
  ])("%s is refused", (override, message) => {
    let refused: unknown;
    try {
      overrideSite(cleanSite(), [override]);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(OverrideError);
    expect((refused as OverrideError).finding).toMatchObject({ code: "SPEC-OVERRIDE", severity: "error", message });
    expect((refused as OverrideError).message).toContain(message);
  });
});
