// What the random plugin makes: pure but for the system's random source.
const { randomBytes, randomInt, randomUUID } = require("node:crypto");

const LOWER = "abcdefghijklmnopqrstuvwxyz";
const SETS = { lower: LOWER, upper: LOWER.toUpperCase(), numeric: "0123456789", special: "!@#$%&*()-_=+[]{}<>:?" };

/** The sets in use and how many characters each must give at least. */
function chosenSets(inputs) {
  const sets = { ...SETS, special: inputs.overrideSpecial || SETS.special };
  return Object.entries(sets)
    .filter(([name]) => inputs[name] !== false)
    .map(([name, chars]) => ({ chars, min: inputs[`min${name[0].toUpperCase()}${name.slice(1)}`] ?? 0 }));
}

function makeString(inputs) {
  const sets = chosenSets(inputs);
  const pick = (chars) => chars[randomInt(chars.length)];
  const picks = sets.flatMap(({ chars, min }) => Array.from({ length: min }, () => pick(chars)));
  const pool = sets.map(({ chars }) => chars).join("");
  while (picks.length < inputs.length) picks.push(pick(pool));
  // The required characters must not stand in front.
  for (let n = picks.length - 1; n > 0; n--) {
    const m = randomInt(n + 1);
    [picks[n], picks[m]] = [picks[m], picks[n]];
  }
  return picks.join("");
}

function checkString(inputs) {
  const failures = [];
  const sets = chosenSets(inputs);
  const least = sets.reduce((sum, { min }) => sum + min, 0);
  if (!(inputs.length >= 1)) failures.push({ property: "length", reason: "must be 1 or more" });
  else if (least > inputs.length) failures.push({ property: "length", reason: `the minimums need at least ${least}` });
  if (sets.length === 0) failures.push({ property: "lower", reason: "at least one set of characters must be used" });
  return failures;
}

const STRING_DEFAULTS = {
  lower: true,
  upper: true,
  numeric: true,
  number: true,
  special: true,
  minLower: 0,
  minUpper: 0,
  minNumeric: 0,
  minSpecial: 0,
};

/** A password's id says nothing about it; a string's id is the string. */
function stringKind(hidden) {
  const imported = (id) => {
    const inputs = { ...STRING_DEFAULTS, length: id.length };
    return { id: hidden ? "none" : id, props: { ...inputs, result: id }, inputs };
  };
  return {
    defaults: STRING_DEFAULTS,
    check: checkString,
    create(inputs) {
      const result = makeString(inputs);
      return { id: hidden ? "none" : result, outs: { ...inputs, result } };
    },
    imported,
  };
}

const uuidKind = {
  defaults: {},
  check: () => [],
  create(inputs) {
    const result = randomUUID();
    return { id: result, outs: { ...inputs, result } };
  },
  imported: (id) => ({ id, props: { result: id }, inputs: {} }),
};

function idOutputs(bytes, prefix = "") {
  const hex = bytes.toString("hex");
  const b64Url = bytes.toString("base64url");
  return {
    hex: prefix + hex,
    dec: `${prefix}${BigInt(`0x${hex}`)}`,
    b64Url: prefix + b64Url,
    b64Std: prefix + bytes.toString("base64"),
  };
}

const idKind = {
  defaults: {},
  check: ({ byteLength }) => (byteLength >= 1 ? [] : [{ property: "byteLength", reason: "must be 1 or more" }]),
  create(inputs) {
    const bytes = randomBytes(inputs.byteLength);
    return { id: bytes.toString("base64url"), outs: { ...inputs, ...idOutputs(bytes, inputs.prefix) } };
  },
  // Imported as `<prefix>,<base64url>` or `<base64url>`, as the published plugin takes it.
  imported(id) {
    const comma = id.lastIndexOf(",");
    const prefix = comma < 0 ? undefined : id.slice(0, comma);
    const value = id.slice(comma + 1);
    const bytes = Buffer.from(value, "base64url");
    const inputs = { byteLength: bytes.length, ...(prefix === undefined ? {} : { prefix }) };
    return { id: value, props: { ...inputs, ...idOutputs(bytes, prefix) }, inputs };
  },
};

/** The kinds by their tokens. */
exports.makeKinds = () => ({
  "random:index/randomPassword:RandomPassword": stringKind(true),
  "random:index/randomString:RandomString": stringKind(false),
  "random:index/randomUuid:RandomUuid": uuidKind,
  "random:index/randomId:RandomId": idKind,
});
