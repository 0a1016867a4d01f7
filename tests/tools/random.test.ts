import { join } from "node:path";

type Values = Record<string, unknown>;
interface Kind {
  defaults: Values;
  check(inputs: Values): { property: string; reason: string }[];
  create(inputs: Values): { id: string; outs: Values };
  imported(id: string): { id: string; props: Values; inputs: Values };
}
const path = join(__dirname, "..", "..", "tools", "toolchain", "random", "kinds.cjs");
const kinds = (require(path) as { makeKinds(): Record<string, Kind> }).makeKinds();
const password = kinds["random:index/randomPassword:RandomPassword"] as Kind;
const id = kinds["random:index/randomId:RandomId"] as Kind;

test("a password has the asked length and the asked minimums, and its id says nothing about it", () => {
  const inputs = { ...password.defaults, length: 12, special: false, minNumeric: 4, minUpper: 3 };
  for (let round = 0; round < 50; round++) {
    const { id: name, outs } = password.create(inputs);
    const result = String(outs.result);
    expect(name).toBe("none");
    expect(result).toMatch(/^[A-Za-z0-9]{12}$/);
    expect(result.replace(/[^0-9]/g, "").length).toBeGreaterThanOrEqual(4);
    expect(result.replace(/[^A-Z]/g, "").length).toBeGreaterThanOrEqual(3);
  }
});

test("two passwords differ, and the characters of a given set are used", () => {
  const inputs = { ...password.defaults, length: 30, overrideSpecial: "_" };
  const made = Array.from({ length: 20 }, () => String(password.create(inputs).outs.result));
  expect(new Set(made).size).toBe(20);
  expect(made.join("")).toMatch(/^\w+$/);
});

test.each<[string, Values, string]>([
  ["no length", { length: 0 }, "length"],
  ["minimums that do not fit", { length: 4, minLower: 3, minUpper: 3 }, "length"],
  ["no set at all", { length: 4, lower: false, upper: false, numeric: false, special: false }, "lower"],
])("refuses %s", (_name, inputs, property) => {
  expect(password.check({ ...password.defaults, ...inputs })).toContainEqual({ property, reason: expect.any(String) });
});

test("an id is the same bytes in every notation, and survives an import", () => {
  const { id: name, outs } = id.create({ byteLength: 4, prefix: "vm-" });
  const bytes = Buffer.from(name, "base64url");
  expect(outs).toMatchObject({ hex: `vm-${bytes.toString("hex")}`, dec: `vm-${bytes.readUInt32BE()}` });
  const { byteLength, prefix, ...computed } = outs;
  expect(id.imported(`vm-,${name}`)).toEqual({
    id: name,
    inputs: { byteLength, prefix },
    props: { byteLength, prefix, ...computed },
  });
});

test("an imported password keeps its value", () => {
  expect(password.imported("s3cret")).toMatchObject({ id: "none", props: { result: "s3cret", length: 6 } });
});
