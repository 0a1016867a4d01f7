// pulumi-resource-random for closed networks: the four kinds that programs here use, on the SDK's own provider server.
// It follows the published plugin's inputs, outputs and ids (https://www.pulumi.com/registry/packages/random/).
const { makeKinds } = require("./kinds.cjs");

const provider = require("@pulumi/pulumi/provider");
// The version is the npm package's: the engine must see the one that it asked for.
const { version } = require("@pulumi/random/package.json");

if (process.argv.includes("-version")) {
  console.log(version);
  process.exit(0);
}

const kinds = makeKinds();

function kindOf(urn) {
  const type = urn.split("::")[2].split("$").pop();
  const kind = kinds[type];
  if (!kind) throw new Error(`this build of the random plugin does not serve ${type}: it needs the published plugin`);
  return kind;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const random = {
  version,
  schema: JSON.stringify({ name: "random", version }),
  async check(urn, _olds, news) {
    const kind = kindOf(urn);
    const inputs = { ...kind.defaults, ...news };
    return { inputs, failures: kind.check(inputs) };
  },
  async diff(_id, urn, olds, news) {
    kindOf(urn);
    const changed = Object.keys(news).filter((key) => !key.startsWith("__") && !same(olds[key], news[key]));
    return { changes: changed.length > 0, replaces: changed };
  },
  async create(urn, inputs) {
    return kindOf(urn).create(inputs);
  },
  async read(id, urn, props) {
    if (Object.keys(props).length > 0) return { id, props };
    return kindOf(urn).imported(id);
  },
  async delete() {},
};

// On import the engine sends no properties at all, which the SDK's server (3.270.0) does not expect.
const { ReadRequest } = require("@pulumi/pulumi/proto/provider_pb");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb");
const getProperties = ReadRequest.prototype.getProperties;
ReadRequest.prototype.getProperties = function () {
  return getProperties.call(this) ?? new Struct();
};

provider.main(random, process.argv.slice(2));
