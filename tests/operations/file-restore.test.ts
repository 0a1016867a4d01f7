/** Files out of a backup server, over a real connection: what arrives is compared byte by byte. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Point } from "../../operations/backups/copies";
import { downloadFile, findFile } from "../../operations/backups/file-restore";
import type { Operator } from "../../operations/context";
import { PveClient } from "../../providers/pve/client";
import { type Fake, type FakeAnswer, type FakeRequest, startFake } from "../providers/fake-server";

const BYTES = randomBytes(300_000);
const POINT: Point = {
  id: "pbs:backup/vm/113/2026-11-20T03:00:00Z",
  subject: "sql-erp",
  policies: ["weekly"],
  target: "pbs-1",
  kind: "pbs",
  at: "2026-11-20T03:00:00Z",
  verified: "ok",
  servers: ["srv1"],
};

/** What is in the copy: a machine with two partitions. */
const TREE: Record<string, string[]> = {
  "/": ["v drive-scsi0.img.fidx", "v qemu-server.conf.blob"],
  "/drive-scsi0.img.fidx/part": ["d 1", "d 2"],
  "/drive-scsi0.img.fidx/part/1": ["d EFI"],
  "/drive-scsi0.img.fidx/part/2": ["d etc"],
  "/drive-scsi0.img.fidx/part/2/etc": ["f fstab", "d ssh"],
};

let server: Fake;
let pve: PveClient;
let folder: string;
let answer: (request: FakeRequest) => FakeAnswer;
beforeAll(async () => {
  server = await startFake((request) => answer(request));
  pve = new PveClient({
    endpoints: { srv1: server.url },
    apiToken: `a@pve!b=${"x".repeat(20)}`,
    ca: server.pem,
    retry: { attempts: 1 },
  });
});
afterAll(async () => {
  pve.close();
  await server.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coldspare-files-"));
  answer = ({ path, query }) => {
    const asked = query.filepath === "/" ? "/" : Buffer.from(query.filepath ?? "", "base64").toString();
    // Bytes that are no text must arrive as they are.
    if (path.endsWith("/download")) return { body: BYTES as unknown as string };
    const entries = TREE[asked];
    if (entries === undefined) return { status: 500, reason: `no such path ${asked}` };
    return {
      data: entries.map((each) => ({ type: each[0], text: each.slice(2), filepath: "", leaf: each[0] === "f" })),
    };
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

const operator = () => ({ pve, pveAt: () => pve }) as unknown as Operator;

test("a path of the guest's is found in the partition that has it", async () => {
  expect(await findFile(operator(), POINT, "/etc/fstab")).toEqual({
    path: "/drive-scsi0.img.fidx/part/2/etc/fstab",
    folder: false,
  });
  expect(await findFile(operator(), POINT, "etc/ssh/")).toMatchObject({ folder: true });
  expect(await findFile(operator(), POINT, "/drive-scsi0.img.fidx/part/1/EFI")).toMatchObject({ folder: true });
  await expect(findFile(operator(), POINT, "/etc/shadow")).rejects.toThrow(
    /is not in pbs:.*looked through .*part\/1, .*part\/2/,
  );
});

test("what arrives is byte for byte what was sent, and a folder is a zip", async () => {
  const file = await downloadFile(operator(), POINT, { path: "/x/fstab", folder: false }, join(folder, "new"));
  expect(readFileSync(file).equals(BYTES)).toBe(true);
  expect(server.requests.at(-1)!.query).toEqual({
    volume: POINT.id,
    filepath: Buffer.from("/x/fstab").toString("base64"),
  });
  expect(await downloadFile(operator(), POINT, { path: "/x/ssh", folder: true }, folder)).toBe(join(folder, "ssh.zip"));
});

test("nothing is written over", async () => {
  writeFileSync(join(folder, "fstab"), "mine");
  await expect(downloadFile(operator(), POINT, { path: "/x/fstab", folder: false }, folder)).rejects.toThrow(
    /is there already/,
  );
  expect(readFileSync(join(folder, "fstab"), "utf8")).toBe("mine");
});

test("a download that fails leaves nothing under the name", async () => {
  answer = () => ({ status: 403, reason: "Permission check failed" });
  await expect(downloadFile(operator(), POINT, { path: "/x/fstab", folder: false }, folder)).rejects.toThrow(
    /Permission check failed/,
  );
  answer = () => ({ cut: true });
  await expect(downloadFile(operator(), POINT, { path: "/x/fstab", folder: false }, folder)).rejects.toThrow();
  expect(readdirSync(folder)).toEqual([]);
  expect(existsSync(join(folder, "fstab.part"))).toBe(false);
});
