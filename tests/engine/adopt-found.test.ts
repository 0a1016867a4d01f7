/**
 * Guests that somebody else made, in unusual ways, come into the stack as they are: the cluster is read, interpreted, and taken over by
 * the real engine and provider against the lab.
 */
import { readCluster } from "../../operations/live-site/read";
import type { SiteSpecInput } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import { type LiveCluster, startCluster } from "../live/clusters";
import { adoptInto, asItIs, uptimes, writeSite } from "./adopt-stack";
import { EngineStack } from "./engine";
import { changed, fine } from "./small-site";

jest.setTimeout(600_000);

let cluster: LiveCluster;
let stack: EngineStack;
let spec: SiteSpecInput;

beforeAll(async () => {
  cluster = await startCluster("by-hand");
  stack = new EngineStack();
  stack.trust(cluster.caFile);
  const interpretation = interpretCluster(await readCluster(cluster.pve));
  spec = interpretation.site;
  const config = {
    "coldspare:siteFile": writeSite(stack, spec),
    "coldspare:endpoints": cluster.endpoints,
    "coldspare:caFile": cluster.caFile,
  };
  await stack.init(config, { "coldspare:apiToken": cluster.lab.tokens.root });
});
afterAll(async () => {
  await cluster?.stop();
  stack?.remove();
});

const changing = async () =>
  Object.fromEntries(Object.entries((await cluster.calls()).calls).filter(([call]) => !call.startsWith("GET ")));
const guests = () => Object.entries(spec.guests ?? {});
const resource = ([name, { kind }]: [string, { kind: string }]) => `${name}-${kind === "vm" ? "vm" : "container"}`;

it("takes over every guest of the specification without a call that changes anything", async () => {
  const before = await asItIs(cluster.pve);
  const running = await uptimes(cluster.pve);
  await cluster.resetCalls();
  const { outcome, refusals, plan } = await adoptInto(stack);
  expect(refusals).toEqual([]);
  expect(outcome).toBe("done");
  const names = plan.imports.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(guests().map(resource)));
  expect(changed(fine(await stack.up()))).toEqual([]);
  expect(changed(fine(await stack.up("--refresh")))).toEqual([]);
  expect(await changing()).toEqual({});
  expect(await asItIs(cluster.pve)).toEqual(before);
  const later = await uptimes(cluster.pve);
  for (const [vmid, uptime] of running) expect(later.get(vmid)).toBeGreaterThanOrEqual(uptime);
});

it("changes afterwards the memory of one guest, and nothing else of it", async () => {
  const found = guests().find(([, guest]) => guest.kind === "vm" && !guest.keep?.length);
  if (found === undefined) throw new Error("the cluster has no machine of which all is said");
  const [name, guest] = found;
  const key = `qemu/${guest.id}`;
  const before = (await asItIs(cluster.pve))[key] as { config: Record<string, unknown> };
  const memoryGiB = guest.memoryGiB + 1;
  writeSite(stack, { ...spec, guests: { ...spec.guests, [name]: { ...guest, memoryGiB } } });
  expect(changed(fine(await stack.up()))).toEqual([`update ${name}-vm`]);
  const after = (await asItIs(cluster.pve))[key] as { config: Record<string, unknown> };
  // The provider writes a balloon of 0 with each change of memory where there was none.
  const memory = { memory: String(memoryGiB * 1024), balloon: before.config.balloon ?? 0 };
  expect({ ...after.config, digest: "" }).toEqual({ ...before.config, ...memory, digest: "" });
  writeSite(stack, spec);
  expect(changed(fine(await stack.up()))).toEqual([`update ${name}-vm`]);
});

it("shows what taking a guest over wholly would change, and changes nothing by showing it", async () => {
  const found = guests().find(([, guest]) => guest.kind === "vm" && !guest.keep?.length && !guest.hostname);
  if (found === undefined) throw new Error("the cluster has no machine of which all is said");
  const [name, { adopted: _, keep: __, ...guest }] = found;
  const disks = guest.disks.map(({ interface: ___, ...disk }) => ({ ...disk, sizeGiB: Math.ceil(disk.sizeGiB) }));
  writeSite(stack, { ...spec, guests: { ...spec.guests, [name]: { ...guest, disks } as (typeof found)[1] } });
  await cluster.resetCalls();
  const preview = fine(await stack.preview());
  expect(changed(preview).some((step) => step.includes(`${name}-vm`))).toBe(true);
  expect(await changing()).toEqual({});
  writeSite(stack, spec);
});
