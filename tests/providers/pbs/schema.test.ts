/** Every setting that the tables name is one that the published API takes, makes, shows and lets go of. */
import { readFileSync } from "node:fs";
import { REMOTE, USER } from "../../../providers/pbs/access";
import { DATASTORE } from "../../../providers/pbs/datastore";
import { PRUNE_JOB, SYNC_JOB, TRAFFIC_CONTROL, VERIFY_JOB } from "../../../providers/pbs/jobs";
import type { Section, SectionProperty } from "../../../providers/pbs/section";

interface Parameter {
  type?: string;
  items?: { enum?: string[] };
}

type Paths = Record<string, Record<string, { parameters: Record<string, Parameter> }>>;

const file = process.env.COLDSPARE_PBS_SCHEMA;
if (file === undefined)
  process.stdout.write("SKIPPED: tables against the published API schema; run the setup to fetch it\n");
const withSchema = file === undefined ? describe.skip : describe;

withSchema("the tables and the published API (COLDSPARE_PBS_SCHEMA)", () => {
  // The names of the tests are made even where they are skipped.
  const { paths } = JSON.parse(file === undefined ? '{"paths":{}}' : readFileSync(file, "utf8")) as { paths: Paths };
  // biome-ignore lint/suspicious/noExplicitAny: each has inputs of its own
  const tables: [string, Section<any>][] = [
    DATASTORE,
    PRUNE_JOB,
    VERIFY_JOB,
    SYNC_JOB,
    TRAFFIC_CONTROL,
    REMOTE,
    USER,
  ].map((section) => [section.noun, section]);
  const TYPES = {
    text: ["string"],
    number: ["integer"],
    flag: ["boolean"],
    list: ["array"],
    options: ["string", undefined],
  };

  test.each(tables)("%s", (_, section) => {
    const entry = Object.keys(paths).find(
      (path) => path.startsWith(`${section.path}/{`) && !path.slice(section.path.length + 1).includes("/"),
    )!;
    const { POST: make } = paths[section.path]!;
    const { PUT: change, DELETE: remove, GET: look } = paths[entry]!;
    expect(look).toBeDefined();
    expect(make!.parameters).toHaveProperty([section.keyWire]);
    for (const name of Object.keys(section.removal ?? {})) expect(remove!.parameters).toHaveProperty([name]);
    const deletable = change!.parameters.delete?.items?.enum ?? [];
    for (const property of Object.values(section.properties) as SectionProperty[]) {
      const { wire, kind } = property;
      expect(make!.parameters).toHaveProperty([wire]);
      expect(TYPES[kind]).toContain(make!.parameters[wire]!.type);
      if (property.fixed || property.once) continue;
      expect(change!.parameters).toHaveProperty([wire]);
      // What is not given any more is deleted, unless it is set to what it is without or is always given.
      const isSet = kind !== "text" && property.initial !== undefined;
      if (!isSet && !property.loose && !REQUIRED.has(wire)) expect(deletable).toContain(wire);
    }
  });
});

/** Settings that every entry has. */
const REQUIRED = new Set(["schedule", "host", "auth-id", "remote-store", "network"]);
