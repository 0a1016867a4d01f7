import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createValidator, decodeForm, FormatError, formatCoverage, refusal, type Validator } from "../../lab/schema";
import { loadRecording, recordingNames } from "./replay/recording";

const validator = createValidator(join(__dirname, "..", "fixtures", "small-pve-schema.json"));
const post = (params: Record<string, unknown>, type: "form" | "json" = "form") =>
  validator.validate("POST", "/things", { thing: "100", ...params }, type);

describe("paths", () => {
  test.each([
    ["GET", "/things", "/things", {}],
    ["GET", "/things/", "/things", {}],
    ["GET", "//things", "/things", {}],
    ["DELETE", "/things/100/", "/things/{thing}", { thing: "100" }],
    ["GET", "/things/new", "/things/new", {}],
    [
      "GET",
      "/stores/local/content/local:backup/a.vma",
      "/stores/{store}/content/{volume}",
      { store: "local", volume: "local:backup/a.vma" },
    ],
    [
      "GET",
      "/stores/local/content/local:backup%2Fa.vma",
      "/stores/{store}/content/{volume}",
      { store: "local", volume: "local:backup/a.vma" },
    ],
  ])("%s %s", (method, path, template, pathParams) => {
    expect(validator.match(method, path)).toEqual({ template, pathParams });
  });

  test("a path or a method that does not exist matches nothing", () => {
    expect(validator.match("GET", "/nope")).toBeUndefined();
    expect(validator.match("PUT", "/things")).toBeUndefined();
    expect(validator.knows("/things")).toBe(true);
    expect(validator.knows("/things/100/more")).toBe(false);
  });
});

describe("parameters: PVE's own words", () => {
  test.each<[string, Record<string, unknown>, Record<string, string>]>([
    [
      "unknown",
      { bogus: "1" },
      { bogus: "property is not defined in schema and the schema does not allow additional properties" },
    ],
    ["no integer", { count: "abc" }, { count: "type check ('integer') failed - got 'abc'" }],
    ["too small", { count: "0" }, { count: "value must have a minimum value of 1" }],
    ["too large", { count: "9" }, { count: "value must have a maximum value of 8" }],
    ["no number", { share: "1,5" }, { share: "type check ('number') failed - got '1,5'" }],
    ["no boolean", { on: "true" }, { on: "type check ('boolean') failed - got 'true'" }],
    ["not in the list", { mode: "x" }, { mode: "value 'x' does not have a value in the enumeration 'fast, slow'" }],
    ["pattern", { label: "12" }, { label: "value does not match the regex pattern" }],
    ["too long", { note: "x".repeat(11) }, { note: "value may only be 10 characters long" }],
    ["too short", { note: "x" }, { note: "value must be at least 2 characters long" }],
    ["named format", { thing: "50" }, { thing: "invalid format - value does not look like a valid VM ID\n" }],
    ["list format", { tags: "good;b@d" }, { tags: "invalid format - invalid characters in tag\n" }],
    ["requires", { force: "1" }, { archive: "missing property - 'force' requires this property" }],
    ["schedule", { schedule: "25:99" }, { schedule: "invalid format - unable to parse calendar event\n" }],
    ["list items", { list: ["1", "x"] }, { "list[1]": "type check ('integer') failed - got 'x'" }],
    ["repeated key", { mode: ["fast", "slow"] }, { mode: "type check ('string') failed - got ARRAY" }],
    [
      "nested",
      { size: "abc" },
      { size: "invalid format - format error\nsize.current: type check ('integer') failed - got 'abc'\n" },
    ],
    [
      "nested minimum",
      { size: "15" },
      { size: "invalid format - format error\nsize.current: value must have a minimum value of 16\n" },
    ],
    [
      "nested enumeration",
      { link0: "nonsense" },
      {
        link0:
          "invalid format - format error\nlink0.kind: value 'nonsense' does not have a value in the enumeration 'fibre, copper'\n",
      },
    ],
    [
      "nested unknown key",
      { link0: "fibre,speed=9" },
      { link0: "invalid format - invalid key in comma-separated list property: speed\n" },
    ],
    [
      "nested twice",
      { link0: "fibre,bridge=a,bridge=b" },
      { link0: "invalid format - duplicate key in comma-separated list property: bridge\n" },
    ],
    [
      "index too high",
      { link4: "fibre" },
      { link4: "property is not defined in schema and the schema does not allow additional properties" },
    ],
  ])("%s", (_, params, errors) => {
    expect(post(params).errors).toEqual(errors);
  });

  test("all mistakes of a call come together", () => {
    const { errors } = validator.validate("POST", "/things", { count: "x", bogus: "1" }, "form");
    expect(Object.keys(errors).sort()).toEqual(["bogus", "count", "thing"]);
    expect(errors.thing).toBe("property is missing and it is not optional");
    expect(refusal(errors)).toEqual({ data: null, message: "Parameter verification failed.\n", errors });
    expect(refusal({})).toBeUndefined();
  });

  test("good values keep their type", () => {
    const { values, errors } = post({
      count: "3",
      on: "0",
      share: "0.5",
      mode: "slow",
      label: "AbCd",
      size: "64",
      list: "7",
      odd: "x",
    });
    expect(errors).toEqual({});
    expect(values).toEqual({
      thing: 100,
      count: 3,
      on: 0,
      share: 0.5,
      mode: "slow",
      label: "AbCd",
      size: "64",
      list: ["7"],
      odd: "x",
    });
  });

  test("a JSON body takes true and numbers, where they are due", () => {
    expect(post({ on: true, count: 3 }, "json")).toEqual({ values: { thing: 100, on: 1, count: 3 }, errors: {} });
    expect(post({ mode: true }, "json").errors).toEqual({
      mode: "type check ('string') failed - got JSON::PP::Boolean",
    });
    expect(post({ mode: { a: 1 } }, "json").errors).toEqual({ mode: "type check ('string') failed - got HASH" });
  });

  test("unknown parameters pass where the schema lets them", () => {
    expect(validator.validate("POST", "/open", { anything: "1" }, "form")).toEqual({
      values: { anything: "1" },
      errors: {},
    });
  });

  test.each([
    "*/15",
    "02:30",
    "mon..fri 22:00",
    "sat,sun 4:00",
    "*:0/15",
    "daily",
    "mon,wed *-1..3 12:00",
    "2026-12-24 18:00",
    "*-*-1 02:00",
  ])("schedule %s is one", (schedule) => expect(post({ schedule }).errors).toEqual({}));
  test.each(["", "nonsense", "24:00", "mon..foo", "1:2:3:4", "*/0", "5..2"])("schedule '%s' is none", (schedule) =>
    expect(post({ schedule }).errors).toHaveProperty("schedule"),
  );
});

describe("property strings", () => {
  const parse = (text: string) => validator.parseProperty("POST", "/things", "link1", text);

  test("an alias sets both keys, words become 0 or 1, a trailing comma is nothing", () => {
    expect(parse("fibre=BC:24:11:00:00:01,bridge=vmbr0,firewall=yes,")).toEqual({
      kind: "fibre",
      address: "BC:24:11:00:00:01",
      bridge: "vmbr0",
      firewall: "1",
    });
    expect(parse("kind=copper,bridge=vmbr1")).toEqual({ kind: "copper", bridge: "vmbr1" });
  });

  test("mistakes are thrown with PVE's text", () => {
    expect(() => parse("fibre=03:00:00:00:00:00")).toThrow(FormatError);
    expect(() => parse("fibre=03:00:00:00:00:00")).toThrow(
      "link1.address: invalid format - value does not look like a valid unicast MAC address",
    );
    expect(() => parse("bridge=a")).toThrow("link1.kind: property is missing and it is not optional");
    expect(() => validator.parseProperty("POST", "/things", "mode", "x")).toThrow("'mode' is no property string");
  });
});

test("form bodies are split on & and on ;, and a repeated key is a list", () => {
  expect(decodeForm("a=1&b=x%3By;c=two+words&a=2&d")).toEqual({ a: ["1", "2"], b: "x;y", c: "two words", d: "" });
  expect(decodeForm("tags=a;b")).toEqual({ tags: "a", b: "" });
});

test("permissions are those of the schema", () => {
  expect(validator.permissions("POST", "/things")).toEqual({ check: ["perm", "/things", ["Thing.Allocate"]] });
  expect(validator.permissions("GET", "/nope")).toBeUndefined();
});

test("coverage counts what was answered and which parameters were seen", () => {
  const fresh = createValidator(join(__dirname, "..", "fixtures", "small-pve-schema.json"));
  fresh.validate("POST", "/things", { thing: "100", odd: "x" }, "form");
  fresh.covered("POST", "/things", ["thing", "link0", "link3", "unheard-of"]);
  const report = fresh.coverage(["GET /things", "POST /things", "GET /invented"]);
  expect(report.endpoints).toEqual({ handled: 2, called: 1, all: 6 });
  expect(report.parameters).toEqual({ seen: 2, all: 15 });
  expect(report.perEndpoint).toContainEqual({
    endpoint: "POST /things",
    handled: true,
    calls: 1,
    seen: ["link[n]", "thing"],
    known: 15,
  });
  expect(report.notInSchema).toEqual(["GET /invented"]);
  expect(report.uncheckedFormats).toEqual(["a-format-nobody-knows"]);
  const table = formatCoverage(report);
  expect(table.split("\n")[0]).toBe(
    "PVE API 0-test: 2 of 6 endpoints answered, 1 called; 2 of 15 parameters of the answered ones seen",
  );
  expect(table).toMatch(/POST \/things +yes +1 +2 of 15/);
});

test("a file of another format version is refused", () => {
  expect(() => createValidator(join(__dirname, "..", "..", "package.json"))).toThrow("fetch the schema anew");
});

/** The published schema is fetched by the setup, never kept in the repository. */
function publishedSchema(): string | undefined {
  if (process.env.COLDSPARE_PVE_SCHEMA) return process.env.COLDSPARE_PVE_SCHEMA;
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "coldspare", "pve-schema");
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  const newest = files.sort().at(-1);
  return newest && join(folder, newest);
}

const schemaFile = publishedSchema();
if (!schemaFile)
  process.stdout.write("SKIPPED: the checks against the published PVE API schema; run the setup to fetch it\n");
(schemaFile ? describe : describe.skip)("the published schema", () => {
  let published: Validator;
  const refused = (method: string, template: string, form: string) =>
    published.validate(method, template, { node: "pve1", ...decodeForm(form) }, "form").errors;
  beforeAll(() => {
    published = createValidator(schemaFile as string);
  });

  // The same calls, with the same answers, are in tests/recordings/36-wrong-input.jsonl.
  test.each([
    ["name=x", { vmid: "property is missing and it is not optional" }],
    ["vmid=50", { vmid: "invalid format - value does not look like a valid VM ID\n" }],
    [
      "vmid=404&memory=abc",
      { memory: "invalid format - format error\nmemory.current: type check ('integer') failed - got 'abc'\n" },
    ],
    [
      "vmid=404&bogus=1",
      { bogus: "property is not defined in schema and the schema does not allow additional properties" },
    ],
    ["vmid=404&cores=0", { cores: "value must have a minimum value of 1" }],
    ["vmid=404&unique=1", { archive: "missing property - 'unique' requires this property" }],
    [
      "vmid=404&net32=virtio",
      { net32: "property is not defined in schema and the schema does not allow additional properties" },
    ],
    [
      "vmid=404&boot=order%3Dscsi0%3Bnet0&ipconfig0=ip%3D192.0.2.10%2F24%2Cgw%3D192.0.2.1&cpu=x86-64-v2-AES&agent=1&startup=order%3D3%2Cup%3D30",
      {},
    ],
  ])("POST qemu %s", (form, errors) => expect(refused("POST", "/nodes/{node}/qemu", form)).toEqual(errors));

  test("it refuses the recorded calls that the real API refused, with the same words, and no other", () => {
    // These two are refused by what the server found when it carried the call out, not by the schema.
    const atRunTime = [505, 673];
    for (const file of recordingNames()) {
      for (const call of loadRecording(file)) {
        const match = published.match(call.method, call.path);
        expect([call.seq, match]).not.toEqual([call.seq, undefined]);
        const params = { ...match?.pathParams, ...call.query, ...decodeForm(call.form ?? "") };
        const { errors } = published.validate(call.method, match?.template ?? "", params, "form");
        const recorded =
          call.status === 400 && !atRunTime.includes(call.seq) ? (call.answer as { errors: unknown }).errors : {};
        expect([call.seq, errors]).toEqual([call.seq, recorded]);
      }
    }
  });

  test("thousands of calls a second: 2000 large ones well within five seconds", () => {
    const form = decodeForm(
      "vmid=300&name=plain&cores=2&memory=64&scsi0=file%3Dtank%3A1%2Cformat%3Draw%2Caio%3Dio_uring&net0=model%3Dvirtio%2Cbridge%3Dvmbr0&tags=a%3Bb",
    );
    const started = performance.now();
    let mistakes = 0;
    for (let i = 0; i < 2000; i++) {
      const match = published.match("POST", "/nodes/pve1/qemu");
      const { errors } = published.validate("POST", match?.template ?? "", { ...match?.pathParams, ...form }, "form");
      mistakes += Object.keys(errors).length;
    }
    expect(mistakes).toBe(0);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
