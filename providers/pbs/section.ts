/**
 * One entry in a configuration file of Proxmox Backup Server (a datastore, a job, a remote, a user …): they all have a name, typed
 * settings, and the same calls to list, make, change and remove them. A table says what an entry has; the rest is here.
 */
import { CALENDAR_EXAMPLES, parseCalendarEvent } from "../../planning/calendar";
import type { FormValue } from "../http/form";
import type { Difference, Handler, InputFailure, PbsContext } from "../serve";
import type { PbsClient, PbsParameters } from "./client";
import { PbsError } from "./errors";
import { optionsOf, optionText } from "./options";

/** What every entry's inputs have beside its settings. */
export interface SectionInputs {
  /** Name of the backup server in `coldspare:pbs`. */
  server: string;
  /** Bring an entry that exists with other settings to these. Without it that is an error. */
  adopt?: boolean;
}

/** How one setting travels and compares. */
export interface SectionProperty {
  /** Its name in the API. */
  wire: string;
  kind: "text" | "number" | "flag" | "list" | "options";
  /** The server's own value where none is set: the two are no difference. */
  initial?: string | number | boolean;
  /** Cannot be changed later: a change makes the entry anew. */
  fixed?: true;
  /** Left as it is when the inputs do not name it: others may use it. */
  loose?: true;
  /** A calendar event. */
  schedule?: true;
  /** Goes with the first call only and is not shown afterwards. */
  once?: true;
}

type SettingOf<In> = Exclude<keyof In & string, keyof SectionInputs>;

/** What an entry is. */
export interface Section<In extends SectionInputs> {
  /** For messages: `prune job`. */
  noun: string;
  path: string;
  /** The input that is its name, and the name of that in the API. */
  key: SettingOf<In>;
  keyWire: string;
  /** Making and removing it start tasks. */
  byTask?: true;
  /** Parameters of its removal. */
  removal?: PbsParameters;
  /** How to remove it by hand, without its name. */
  removeCommand: string;
  properties: { [K in Exclude<SettingOf<In>, Section<In>["key"]>]?: SectionProperty };
  check?: (inputs: Partial<In>) => InputFailure[];
}

type Values = Record<string, unknown>;
type Entry = Readonly<Record<string, unknown>>;

/** The life of an entry: plain functions over the client. */
export function sectionHandler<In extends SectionInputs>(section: Section<In>): Handler<In, In, PbsContext> {
  const at = (inputs: In) => new EntryAt(section, inputs);
  return {
    check: (inputs) => checkSection(section, inputs),
    diff: (olds, news) => diffSection(section, olds, news),
    async create({ pbs }, inputs) {
      const entry = at(inputs);
      const client = pbs(inputs.server);
      const there = await entry.find(client);
      if (there === undefined) await entry.make(client);
      else await entry.adopt(client, there);
      return { id: entry.id, outs: recorded(section, inputs) };
    },
    async read({ pbs }, _id, props) {
      const there = await at(props).find(pbs(props.server));
      return there === undefined ? undefined : observed(section, props, there);
    },
    async update({ pbs }, _id, _olds, news) {
      const entry = at(news);
      const client = pbs(news.server);
      const there = await entry.find(client);
      if (there === undefined) await entry.make(client);
      else await entry.change(client, there);
      return recorded(section, news);
    },
    async delete({ pbs }, _id, props) {
      await at(props).remove(pbs(props.server));
    },
  };
}

/** One entry of one server. */
class EntryAt<In extends SectionInputs> {
  private readonly name: string;
  private readonly path: string;

  constructor(
    private readonly section: Section<In>,
    private readonly inputs: In,
  ) {
    this.name = String((inputs as Values)[section.key]);
    this.path = `${section.path}/${encodeURIComponent(this.name)}`;
  }

  get id(): string {
    return `${this.inputs.server}/${this.name}`;
  }

  async find(pbs: PbsClient): Promise<Entry | undefined> {
    try {
      return await pbs.get<Entry>(this.path, {}, { doing: `look at ${this.label}` });
    } catch (error) {
      if (error instanceof PbsError && error.isMissing) return undefined;
      throw error;
    }
  }

  async make(pbs: PbsClient): Promise<void> {
    const { section, inputs } = this;
    const settings = settingsOf(section).map(([key, property]) => [
      property.wire,
      toWire(property, settingIn(inputs, key)),
    ]);
    const form = { [section.keyWire]: this.name, ...(Object.fromEntries(settings) as PbsParameters) };
    const about = { doing: `make ${this.label}` };
    if (section.byTask) await pbs.task("POST", section.path, form, about);
    else await pbs.post(section.path, form, about);
  }

  /** Takes what matches as it is; what does not is somebody's decision. */
  async adopt(pbs: PbsClient, there: Entry): Promise<void> {
    const differing = differences(this.section, this.inputs, there);
    if (differing.length === 0) return;
    if (this.inputs.adopt === true) return this.change(pbs, there);
    const { section, inputs, name } = this;
    const described = differing
      .map(
        ([key, property]) =>
          `${key} is ${shown(fromWire(property, there[property.wire]))}, wanted ${shown(settingIn(inputs, key))}`,
      )
      .join("; ");
    throw pbs.refusal(
      `make ${this.label}`,
      `POST ${section.path}`,
      `it exists with other settings (${described})`,
      `write its settings into the specification to take it over as it is, say \`adopt: true\` to change it to what is written, or remove it (\`${section.removeCommand} ${name}\`)`,
    );
  }

  async change(pbs: PbsClient, there: Entry): Promise<void> {
    const { section, inputs } = this;
    const differing = differences(section, inputs, there);
    const fixed = differing.filter(([, property]) => property.fixed).map(([key]) => key);
    if (fixed.length > 0) throw this.unchangeable(pbs, fixed);
    if (differing.length === 0) return;
    const set: Record<string, FormValue> = {};
    const gone: string[] = [];
    for (const [key, property] of differing) {
      // Not every flag and number can be deleted, but each can be set to what it is without.
      const initial = property.kind === "text" ? undefined : property.initial;
      const value = toWire(property, settingIn(inputs, key) ?? initial);
      if (value === undefined) gone.push(property.wire);
      else set[property.wire] = value;
    }
    await pbs.put(
      this.path,
      { ...set, ...(gone.length === 0 ? {} : { delete: gone }) },
      { doing: `change ${this.label}` },
    );
  }

  async remove(pbs: PbsClient): Promise<void> {
    const about = { doing: `remove ${this.label}` };
    try {
      if (this.section.byTask) await pbs.task("DELETE", this.path, this.section.removal ?? {}, about);
      else await pbs.delete(this.path, this.section.removal ?? {}, about);
    } catch (error) {
      if (!(error instanceof PbsError && error.isMissing)) throw error;
    }
  }

  private unchangeable(pbs: PbsClient, keys: string[]): PbsError {
    return pbs.refusal(
      `change ${this.label}`,
      `PUT ${this.path}`,
      `${keys.join(" and ")} cannot be changed there`,
      `take the ${this.section.noun} out of the specification and put it in again, under another name if its content must stay where it is`,
    );
  }

  private get label(): string {
    return `the ${this.section.noun} '${this.name}'`;
  }
}

function checkSection<In extends SectionInputs>(section: Section<In>, inputs: Partial<In>): InputFailure[] {
  const failures: InputFailure[] = [];
  for (const [key, property] of settingsOf(section)) {
    const value = settingIn(inputs, key);
    if (!property.schedule || typeof value !== "string") continue;
    const { problem } = parseCalendarEvent(value);
    if (problem !== undefined) {
      const reason = `'${value}' is no calendar event: ${problem}; write for instance ${CALENDAR_EXAMPLES}`;
      failures.push({ property: key, reason });
    }
  }
  return [...failures, ...(section.check?.(inputs) ?? [])];
}

function diffSection<In extends SectionInputs>(section: Section<In>, olds: In, news: Partial<In>): Difference {
  const replaces = (["server", section.key] as const).filter(
    (key) => settingIn(news, key) !== undefined && settingIn(news, key) !== settingIn(olds, key),
  ) as string[];
  let changes = replaces.length > 0;
  for (const [key, property] of settingsOf(section)) {
    const wanted = settingIn(news, key);
    if (property.once || isSame(property, settingIn(olds, key), wanted)) continue;
    // Not known yet in a preview, or given up: what is made once stays as it was made.
    if (property.fixed && wanted === undefined) continue;
    changes = true;
    if (property.fixed) replaces.push(key);
  }
  return { changes, replaces };
}

/** What is recorded of inputs that were carried out. */
function recorded<In extends SectionInputs>(section: Section<In>, inputs: In): In {
  return observed(section, inputs, undefined);
}

/** The inputs with the settings that are there in place of those that were asked for. */
function observed<In extends SectionInputs>(section: Section<In>, inputs: In, there: Entry | undefined): In {
  const { adopt: _, ...rest } = inputs as Values & SectionInputs;
  const outs: Values = { ...rest };
  for (const [key, property] of settingsOf(section)) {
    const wanted = settingIn(inputs, key);
    if (property.once) delete outs[key];
    else if (there !== undefined && !(property.loose && wanted === undefined)) {
      const found = fromWire(property, there[property.wire]);
      outs[key] = isSame(property, found, wanted) ? wanted : (found ?? property.initial);
    }
    if (outs[key] === undefined) delete outs[key];
  }
  return outs as unknown as In;
}

function differences<In extends SectionInputs>(
  section: Section<In>,
  inputs: In,
  there: Entry,
): [string, SectionProperty][] {
  return settingsOf(section).filter(([key, property]) => {
    const wanted = settingIn(inputs, key);
    if (property.once || (property.loose && wanted === undefined)) return false;
    return !isSame(property, fromWire(property, there[property.wire]), wanted);
  });
}

function settingsOf<In extends SectionInputs>(section: Section<In>): [string, SectionProperty][] {
  return Object.entries(section.properties) as [string, SectionProperty][];
}

function settingIn(inputs: object, key: string): unknown {
  return (inputs as Values)[key];
}

function isSame(property: SectionProperty, one: unknown, other: unknown): boolean {
  const plain = (value: unknown) => {
    const wire = toWire(property, value) ?? property.initial;
    return typeof wire === "object" ? [...wire].sort().join("\n") : wire;
  };
  return plain(one) === plain(other);
}

/** A setting as the API takes it. */
function toWire(property: SectionProperty, value: unknown): FormValue {
  if (value === undefined || value === null) return undefined;
  if (property.kind === "options") return optionText(value as Record<string, string | number | boolean | undefined>);
  if (property.kind === "list") return (value as string[]).length === 0 ? undefined : (value as string[]);
  return value as string | number | boolean;
}

/** A setting as the API shows it; flags come as booleans, or as numbers from older releases. */
function fromWire(property: SectionProperty, value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  switch (property.kind) {
    case "flag":
      return value === true || value === 1 || value === "1";
    case "number":
      return Number(value);
    case "options":
      return typeof value === "string" ? optionsOf(value) : value;
    case "list":
      return Array.isArray(value) ? value.map(String) : [String(value)];
    default:
      return String(value);
  }
}

function shown(value: unknown): string {
  return value === undefined ? "not set" : typeof value === "string" ? `'${value}'` : JSON.stringify(value);
}
