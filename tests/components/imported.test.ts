/** What is registered of a site that was imported: what exists there, and nothing that would be made. */
import { Site } from "../../components";
import { interpretCluster } from "../../planning/adoption/interpret";
import { keptSnapshot } from "../live/snapshot-text";
import { record } from "./recorder";

const OURS = /^coldspare:index:/;

test.each(["smb", "by-hand", "half"] as const)("%s: guests and their replication alone", async (kind) => {
  const { site, guests } = interpretCluster(keptSnapshot(kind));
  const { recorder } = await record(() => new Site("imported", { site }, {}), false);
  const registered = recorder.identities().map((identity) => identity.split("::"));
  const ofType = (type: string) => registered.filter(([each]) => each === type).length;
  const taken = (wanted: "vm" | "container") =>
    guests.filter(({ name, kind: own }) => name !== undefined && own === wanted).length;
  const replicas = Object.values(site.guests ?? {}).filter(({ coldReplica }) => coldReplica !== undefined).length;
  expect(ofType("proxmoxve:index/vmLegacy:VmLegacy")).toBe(taken("vm"));
  expect(ofType("proxmoxve:index/containerLegacy:ContainerLegacy")).toBe(taken("container"));
  expect(ofType("pulumi-nodejs:dynamic/coldspare:ReplicationPair")).toBe(replicas);
  const others = registered.filter(([type = ""]) => !OURS.test(type)).length;
  expect(others).toBe(taken("vm") + taken("container") + replicas);
});
