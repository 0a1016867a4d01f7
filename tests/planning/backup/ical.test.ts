import fc from "fast-check";
import { swapCalendar } from "../../../planning/backup/ical";
import { swaps } from "../../../planning/backup/rotation";
import { at, DAY } from "./histories";
import { office, rotations } from "./rotations";

interface Component {
  name: string;
  properties: { name: string; parameters: Record<string, string>; value: string }[];
  children: Component[];
}

/** A strict reading of RFC 5545: CRLF, folding, names, nesting. Throws at anything else. */
function parse(text: string): Component {
  if (!text.endsWith("\r\n")) throw new Error("the last line has no end");
  const physical = text.slice(0, -2).split("\r\n");
  const lines: string[] = [];
  for (const line of physical) {
    if (/[\r\n]/.test(line)) throw new Error(`a bare line end in ${JSON.stringify(line)}`);
    if (Buffer.byteLength(line) > 75) throw new Error(`longer than 75 octets: ${line}`);
    if (line.includes("\uFFFD")) throw new Error("a broken character");
    if (line.startsWith(" ")) lines[lines.length - 1] += line.slice(1);
    else lines.push(line);
  }
  const root: Component = { name: "", properties: [], children: [] };
  const open = [root];
  for (const line of lines) {
    const match = /^([A-Z-]+)((?:;[A-Z-]+=[^:;]+)*):(.*)$/.exec(line);
    if (match === null) throw new Error(`no content line: ${line}`);
    const [, name = "", parameters = "", value = ""] = match;
    if (name === "BEGIN") {
      const child: Component = { name: value, properties: [], children: [] };
      open.at(-1)!.children.push(child);
      open.push(child);
    } else if (name === "END") {
      if (open.pop()!.name !== value) throw new Error(`${value} ends and is not open`);
    } else {
      const pairs = parameters
        .split(";")
        .slice(1)
        .map((pair) => pair.split("=") as [string, string]);
      open.at(-1)!.properties.push({ name, parameters: Object.fromEntries(pairs), value });
    }
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error("not one calendar");
  return root.children[0]!;
}

const one = (component: Component, name: string) => {
  const found = component.properties.filter((property) => property.name === name);
  if (found.length !== 1) throw new Error(`${component.name} has ${found.length} ${name}`);
  return found[0]!;
};
const unescaped = (value: string) => {
  if (/(?<!\\)(?:\\\\)*[;,]/.test(value.replaceAll(/\\[;,n]/g, ""))) throw new Error(`not escaped: ${value}`);
  return value.replaceAll(/\\(.)/g, (_all, sign: string) => (sign === "n" ? "\n" : sign));
};
const epoch = (text: string) =>
  Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z?$/, "$1-$2-$3T$4:$5:$6Z")) / 1000;
const seconds = (text: string) => {
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)$/.exec(text)!;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
};

/** The instant of a DTSTART by the file's own VTIMEZONE, as a reader without a time zone database finds it. */
function instant(calendar: Component, event: Component): number {
  const { value, parameters } = one(event, "DTSTART");
  if (parameters.TZID === undefined) return epoch(value);
  const zone = calendar.children.find(
    (child) => child.name === "VTIMEZONE" && one(child, "TZID").value === parameters.TZID,
  )!;
  const last = zone.children
    .map((observance) => ({
      from: epoch(one(observance, "DTSTART").value),
      offset: seconds(one(observance, "TZOFFSETTO").value),
    }))
    .findLast(({ from }) => from <= epoch(value))!;
  return epoch(value) - last.offset;
}

const options = { target: "vault", server: "backup-1", stamp: at("2026-01-01T00:00:00Z") };

test("every swap is an event at its instant, with what to do and a reminder", () => {
  fc.assert(
    fc.property(rotations, (rotation) => {
      const range = { from: rotation.start, to: rotation.start + 370 * DAY };
      const calendar = parse(swapCalendar(rotation, { ...options, ...range }));
      expect(one(calendar, "VERSION").value).toBe("2.0");
      const events = calendar.children.filter(({ name }) => name === "VEVENT");
      const expected = swaps(rotation, range.from, range.to);
      expect(events.map((event) => instant(calendar, event))).toEqual(expected.map((swap) => swap.at));
      expect(new Set(events.map((event) => one(event, "UID").value)).size).toBe(events.length);
      for (const [index, event] of events.entries()) {
        const { attach, detach } = expected[index]!;
        expect(unescaped(one(event, "SUMMARY").value)).toContain(`attach ${attach}, take ${detach}`);
        expect(unescaped(one(event, "DESCRIPTION").value)).toContain(`3. Attach ${attach}`);
        expect(event.children.map((alarm) => [alarm.name, one(alarm, "TRIGGER").value])).toEqual([
          ["VALARM", "-PT60M"],
        ]);
      }
    }),
    { numRuns: 20 },
  );
});

test("the words, and the same UID when the file is made again", () => {
  const range = { from: office.start, to: office.start + 40 * DAY };
  const calendar = parse(swapCalendar(office, { ...options, ...range, reminderMinutes: 15 }));
  const events = calendar.children.filter(({ name }) => name === "VEVENT");
  expect(unescaped(one(events[0]!, "SUMMARY").value)).toBe("Swap backup disk: attach B, take A to the shelf");
  expect(unescaped(one(events[4]!, "SUMMARY").value)).toBe("Swap backup disk: attach A, take M1 off site");
  expect(one(events[0]!, "DTSTART")).toMatchObject({ parameters: { TZID: "Europe/Paris" }, value: "20260112T090000" });
  const later = parse(
    swapCalendar(office, { ...options, ...range, from: office.start + 14 * DAY, stamp: options.stamp + DAY }),
  );
  const uids = (of: Component) =>
    of.children.flatMap((child) => (child.name === "VEVENT" ? [one(child, "UID").value] : []));
  expect(uids(calendar)).toEqual(expect.arrayContaining(uids(later)));
});

test("labels with signs of the format and of many octets arrive whole", () => {
  const label = `Örtliche; Platte, "rot"\\1 ${"ß€😀".repeat(30)}`;
  const rotation = { ...office, timeZone: "UTC", sets: [{ name: "weekly", media: ["A", label], swap: "mon 09:00" }] };
  const text = swapCalendar(rotation, { ...options, from: office.start, to: office.start + 8 * DAY });
  const [event] = parse(text).children;
  expect(unescaped(one(event!, "SUMMARY").value)).toBe(`Swap backup disk: attach ${label}, take A to the shelf`);
});
