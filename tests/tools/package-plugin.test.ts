/** The plugin without an engine: its schema, and what it refuses before a component sees it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { siteJsonSchema } from "../../planning";
import { packageSchema, token } from "../../plugin/package-schema";
import { ColdspareProvider } from "../../plugin/provider";
import type { JsonSchema } from "../../plugin/type-spec";

const recorded = join(__dirname, "../fixtures/plugin-schema.json");
const { version } = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8")) as { version: string };
const schema = packageSchema(version);

test("the schema is the recorded one", () => {
  // What programs in other languages may write: after a change look at the difference, and record it with COLDSPARE_RECORD=1.
  if (process.env.COLDSPARE_RECORD) writeFileSync(recorded, `${JSON.stringify(schema, null, 2)}\n`);
  expect(schema).toEqual({ ...JSON.parse(readFileSync(recorded, "utf8")), version });
});

test("every type that is named is there, and none is left over", () => {
  const named = [...JSON.stringify(schema).matchAll(/"#\/types\/([^"]+)"/g)].map(([, name]) => name);
  expect([...new Set(named)].sort()).toEqual(Object.keys(schema.types).sort());
});

test.each([
  ["VirtualMachine", "vm"],
  ["Container", "container"],
])("%s takes everything that a specification says of one", (component, kind) => {
  const site = siteJsonSchema() as { properties: { guests: { additionalProperties: { oneOf: JsonSchema[] } } } };
  const guest = site.properties.guests.additionalProperties.oneOf.find(
    ({ properties }) => properties?.kind?.const === kind,
  );
  const { inputProperties, requiredInputs } = schema.resources[token(component)] ?? {};
  const words = Object.keys(guest?.properties ?? {}).filter((key) => key !== "kind");
  expect(Object.keys(inputProperties ?? {})).toEqual(expect.arrayContaining(words));
  expect(requiredInputs).toEqual(guest?.required?.filter((key) => key !== "kind").sort());
  // What the plan is made of is plain; what only travels is not.
  expect(words.filter((key) => !inputProperties?.[key]?.plain)).toEqual([]);
  expect(inputProperties?.password?.plain).toBeUndefined();
});

describe("construct", () => {
  const provider = new ColdspareProvider(version);
  const machine = { os: "linux", on: "srv1", cores: 2, memoryGiB: 4, disks: [{ sizeGiB: 40, storage: "tank" }] };
  const registered: string[] = [];

  beforeAll(async () => {
    jest.spyOn(pulumi.log, "warn").mockImplementation(async () => {});
    await pulumi.runtime.setMocks({
      newResource: ({ type, name, inputs }) => {
        registered.push(`${type} ${name}`);
        return { id: `${name}-id`, state: inputs };
      },
      call: ({ inputs }) => inputs,
    });
  });

  /** What a program is told; nothing more may have been registered then. */
  async function refusal(type: string, inputs: pulumi.Inputs): Promise<string> {
    const before = [...registered];
    try {
      await provider.construct("sql", type, inputs, {});
    } catch (error) {
      expect(registered).toEqual(before);
      const { message, errors = [] } = error as pulumi.InputPropertiesError;
      return [message, ...errors.map(({ propertyPath, reason }) => `${propertyPath}: ${reason}`)].join("\n");
    }
    throw new Error("it was made");
  }

  test("gives the outputs that the schema promises", async () => {
    const { state } = await provider.construct("sql", token("VirtualMachine"), { ...machine, id: 500 }, {});
    const resource = schema.resources[token("VirtualMachine")];
    expect(Object.keys(state).sort()).toEqual(Object.keys(resource?.properties ?? {}).sort());
    const guestId = await new Promise((known) => pulumi.output(state.guestId).apply(known));
    expect(guestId).toBe(500);
    // Registrations go on in the background: they are over before the next one is counted.
    await pulumi.runtime.disconnect();
    expect(registered).toContain("proxmoxve:index/vmLegacy:VmLegacy sql-vm");
  });

  test("refuses every wrong argument at once, by its path", async () => {
    const disks = [{ sizeGiB: pulumi.output(40), storage: "tank" }];
    const said = await refusal(token("VirtualMachine"), { ...machine, cpus: 2, memoryGiB: pulumi.output(4), disks });
    expect(said).toContain("cpus: VirtualMachine has no such argument; it has adopted, agent,");
    expect(said).toContain("memoryGiB: the plan is made before any resource");
    expect(said).toContain("disks[0].sizeGiB: the plan is made before any resource");
  });

  test("refuses what the plan refuses", async () => {
    expect(await refusal(token("VirtualMachine"), { ...machine, disks: [] })).toContain("SPEC-");
  });

  test("knows its components only", async () => {
    expect(await refusal(token("BackupTarget"), {})).toContain("this package has coldspare:index:Container");
  });
});
