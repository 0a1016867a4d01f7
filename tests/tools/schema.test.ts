import { deflateRawSync } from "node:zlib";
import { loadTool } from "./load";

type Paths = Record<string, Record<string, Record<string, unknown>>>;
const { normalizeTree, normalizeCapture, parseApidoc } = loadTool<{
  normalizeTree(tree: object[]): Paths;
  normalizeCapture(capture: object): Paths;
  parseApidoc(script: string): object[];
}>("schema-normalize.mjs");
const { unzipEntry } = loadTool<{ unzipEntry(archive: Buffer, name: string): Buffer }>("zip.mjs");

const method = {
  name: "create_vm",
  description: "Create.",
  protected: 1,
  permissions: { check: ["perm", "/vms/{vmid}", ["VM.Allocate"]], description: "text" },
  parameters: {
    additionalProperties: 0,
    properties: {
      description: { type: "string", optional: 1, description: "Notes.", typetext: "<string>" },
      "net[n]": {
        type: "string",
        optional: 1,
        format: { model: { type: "string", default_key: 1, format_description: "model", default: 1 } },
      },
    },
  },
  returns: { type: "string", description: "UPID" },
};
const expected = {
  name: "create_vm",
  parameters: {
    description: { type: "string", optional: true },
    "net[n]": {
      type: "string",
      optional: true,
      indexMax: 31,
      format: { model: { type: "string", default_key: true, default: 1 } },
    },
  },
  additionalProperties: false,
  permissions: { check: ["perm", "/vms/{vmid}", ["VM.Allocate"]] },
  protected: true,
  returns: { type: "string" },
};

test("the tree of apidoc.js is flattened; texts go, a parameter that is called like a text stays", () => {
  const tree = [{ path: "/nodes", children: [{ path: "/nodes/{node}/qemu", info: { POST: method } }] }];
  expect(normalizeTree(tree)).toEqual({ "/nodes/{node}/qemu": { POST: expected } });
});

test("both sources give the same form", () => {
  const { name, ...rest } = method;
  const capture = { merged_endpoints: { "/x": { methods: { POST: { ...rest, method_name: name, source: null } } } } };
  expect(normalizeCapture(capture)).toEqual({ "/x": { POST: expected } });
});

test("a method that allows more parameters says so", () => {
  const paths = normalizeTree([{ path: "/x", info: { GET: { name: "x", parameters: {} } } }]);
  expect(paths["/x"]?.GET).toMatchObject({ additionalProperties: true, parameters: {} });
});

test("the table is cut out of the viewer's script, brackets in texts or not", () => {
  const table = [{ path: "/x]", text: 'a "quoted" ]' }];
  expect(parseApidoc(`const apiSchema = ${JSON.stringify(table)};\nfunction f() { return [1]; }`)).toEqual(table);
  expect(() => parseApidoc("<html>login</html>")).toThrow("no 'apiSchema' table");
  expect(() => parseApidoc("const apiSchema = [ {")).toThrow("ends in the middle");
});

/** A zip archive of one entry, as the format's specification lays it out. */
function zip(name: string, content: string): Buffer {
  const packed = deflateRawSync(Buffer.from(content));
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, Buffer.from(name), packed, entry, Buffer.from(name), end]);
}

test("one entry is read out of a wheel", () => {
  const archive = zip("data/schema.json", "{}".repeat(50));
  expect(unzipEntry(archive, "data/schema.json").toString()).toBe("{}".repeat(50));
  expect(() => unzipEntry(archive, "other")).toThrow("no entry other");
  expect(() => unzipEntry(Buffer.from("<html>"), "x")).toThrow("not a zip archive");
});
