import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBreakGlass } from "../../providers/break-glass";

const SECRET = "b1946ac9-2492-4d23-8bd2-6c0c4f1a2e77";
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coldspare-glass-"));
  file = join(folder, "break-glass.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string, mode = 0o600): void {
  writeFileSync(file, text);
  chmodSync(file, mode);
}
const put = (name: string, mode = 0o600) => writeFileSync(join(folder, name), "x", { mode });
const message = async (): Promise<string> =>
  readBreakGlass(file).then(
    () => "",
    (error: Error) => error.message,
  );

test("the set of the documentation", async () => {
  const page = readFileSync(join(__dirname, "../../docs/break-glass.md"), "utf8");
  const example = page.match(/```yaml\n(format: 1[\s\S]*?)```/)?.[1] ?? "";
  for (const name of ["site.json", "id_coldspare", "pve-root-ca.pem"]) put(name);
  write(example);
  expect(await readBreakGlass(file)).toEqual({
    note: expect.stringContaining("Office"),
    made: "2026-11-22",
    manifestFile: join(folder, "site.json"),
    apiToken: expect.stringMatching(/^coldspare@pve!operator=/),
    sshKeyFile: join(folder, "id_coldspare"),
    caFile: join(folder, "pve-root-ca.pem"),
    secrets: { "srv1-bmc": expect.any(String), "srv2-bmc": expect.any(String) },
  });
});

test("only what is there is answered", async () => {
  write("format: 1\n");
  expect(await readBreakGlass(file)).toEqual({ secrets: {} });
});

test("what others can read is refused", async () => {
  write(`format: 1\napiToken: coldspare@pve!operator=${SECRET}\n`, 0o640);
  expect(await message()).toBe(
    `${file} can be read by others (mode 640). Fix: \`chmod 600 ${file}\`; a stick with a file system without owners has to be mounted with umask=077`,
  );
  put("key");
  chmodSync(join(folder, "key"), 0o644);
  write("format: 1\nsshKey: key\n");
  expect(await message()).toContain(`${join(folder, "key")} can be read by others (mode 644)`);
});

test.each([
  ["format: 2\n", /format: the format that this release reads is 1/],
  ["apiToken: a@b!c=d\n", /format: /],
  ["format: 1\napitoken: x\n", /Unrecognized key: "apitoken"/],
  [`format: 1\napiToken: ${SECRET}\n`, /apiToken: it has not the form user@realm!name=secret/],
  [`format: 1\nsecrets: [${SECRET}]\n`, /secrets: /],
  [`format: 1\nsecrets: { a: "${SECRET}\n`, /is no YAML in line \d/],
  ["format: 1\nca: nowhere.pem\n", /names .*nowhere\.pem \(ca\), which is not there/],
])("%j is refused without a word of what is secret", async (text, expected) => {
  write(text);
  expect(await message()).toMatch(expected);
  expect(await message()).not.toContain(SECRET);
});

test("a file that is not there", async () => {
  expect(await message()).toContain(`COLDSPARE_BREAK_GLASS names ${file}, which is no file`);
});
