import * as fs from "node:fs";
import { moveConfig } from "./config-move";
import { action, type ControlAction, number, text } from "./control-action";
import type { Domain } from "./domain";
import { dataVolume } from "./guest-data";
import { regroup } from "./membership";
import { killNode, reviveNode } from "./node-power";
import { freeze, heal, setWitness, split } from "./partition";
import { pbsActions } from "./pbs/control-actions";
import { hasBooted } from "./power";
import { strayProcesses } from "./processes";
import type { Router } from "./router";
import type { Guest } from "./state";
import type { Validator } from "./validation";
import { addVolume, volumeFile } from "./volumes";
import type { World } from "./world";

function guestOf(world: World, vmid: string): { domain: Domain; guest: Guest } {
  for (const domain of world.domains) {
    const guest = domain.guest(vmid);
    if (guest) return { domain, guest };
  }
  throw new Error(`there is no guest ${vmid}`);
}

/** Machines of the lab, or `operator` for whoever calls the APIs from outside. */
function names(world: World, value: unknown, name: string): string[] {
  const known = [
    "operator",
    ...world.topology.nodes.map((node) => node.name),
    ...world.topology.witnesses,
    ...world.backupServers.map((server) => server.name),
  ];
  if (!Array.isArray(value) || value.length === 0) throw new Error(`'${name}' must be a list of names`);
  for (const each of value)
    if (!known.includes(each)) throw new Error(`'${name}': there is no '${each}'; there are ${known.join(", ")}`);
  return value as string[];
}

/** The first disk of a guest: where its data is. */
function dataFile(world: World, vmid: string): { file: string; grow: (bytes: number) => void; read: boolean } {
  const { domain, guest } = guestOf(world, vmid);
  const volume = dataVolume(domain, guest);
  if (!volume) throw new Error(`guest ${vmid} has no disk`);
  return {
    file: volumeFile(domain, volume),
    read: guest.running !== undefined,
    grow: (bytes) => {
      volume.used = Math.min(volume.size, volume.used + bytes);
      domain.save();
    },
  };
}

/** State of the whole lab at a glance. */
function overview(world: World): Record<string, unknown> {
  return {
    time: world.clock.now(),
    speed: world.clock.speed,
    witnesses: world.state.witnesses,
    nodes: world.domains.flatMap((domain) =>
      domain.nodeNames().map((name) => ({
        name,
        up: domain.state.nodes[name]!.up,
        quorate: domain.quorate(name),
        cluster: domain.state.cluster,
      })),
    ),
    guests: world.domains.flatMap((domain) =>
      domain.guests().map((guest) => ({
        vmid: guest.vmid,
        type: guest.type,
        name: guest.config.name ?? guest.config.hostname,
        node: guest.node,
        running: guest.running !== undefined,
        booted: hasBooted(domain, guest),
        tags: guest.config.tags,
      })),
    ),
    backupServers: world.backupServers.map((server) => ({ name: server.name, up: server.up })),
    // Processes that run although their configuration was moved away.
    strays: world.domains.flatMap(strayProcesses),
  };
}

function fill(world: World, body: Record<string, unknown>): unknown {
  const node = text(body.node, "node");
  const domain = world.domainOf(node);
  if (!domain) throw new Error(`there is no node '${node}'`);
  const entry = domain.storage(text(body.storage, "storage"), node);
  const backing = domain.backing(entry, node);
  delete domain.state.filler[backing];
  const leave = body.leaveBytes === undefined ? 0 : number(body.leaveBytes, "leaveBytes");
  const { avail } = domain.usage(entry, node);
  if (leave < avail) domain.state.filler[backing] = avail - leave;
  domain.save();
  return domain.usage(entry, node);
}

/** All calls of the control interface. */
export function controlActions(world: World, router: Router, validator: Validator | undefined): ControlAction[] {
  const witness = async (name: string, up: boolean) => {
    if (world.state.witnesses[name] === undefined) throw new Error(`there is no witness '${name}'`);
    if (up) await world.hosts?.boot(name);
    else await world.hosts?.cut(name);
    setWitness(world, name, up);
    return { name, up };
  };
  return [
    action("GET", "/", () => overview(world)),
    action("POST", "/nodes/{node}/kill", async ([node]) => {
      await killNode(world, node!);
      return { node, up: false };
    }),
    action("POST", "/nodes/{node}/revive", async ([node]) => {
      await reviveNode(world, node!);
      return { node, up: true };
    }),
    action("POST", "/nodes/{node}/expected {votes}", ([node], body) => {
      const domain = world.domainOf(node!);
      if (!domain) throw new Error(`there is no node '${node}'`);
      domain.nodeState(node!).expectedVotes = number(body.votes, "votes");
      regroup(domain);
      return { node, quorate: domain.quorate(node!) };
    }),
    action("POST", "/witnesses/{name}/kill", ([name]) => witness(name!, false)),
    action("POST", "/witnesses/{name}/revive", ([name]) => witness(name!, true)),
    action("POST", "/partition {a: [names], b: [names]}", async (_, body) => {
      await split(world, names(world, body.a, "a"), names(world, body.b, "b"));
      return overview(world);
    }),
    action("POST", "/heal", async () => {
      await heal(world);
      return overview(world);
    }),
    action("POST", "/hosts/{name}/freeze", async ([name]) => {
      await freeze(world, names(world, [name], "name")[0]!, true);
      return { name, frozen: true };
    }),
    action("POST", "/hosts/{name}/thaw", async ([name]) => {
      await freeze(world, names(world, [name], "name")[0]!, false);
      return { name, frozen: false };
    }),
    action("POST", "/config-move {vmid, from, to, on?}", (_, body) => {
      const to = text(body.to, "to");
      moveConfig(
        world,
        number(body.vmid, "vmid"),
        text(body.from, "from"),
        to,
        body.on === undefined ? to : text(body.on, "on"),
      );
      return { vmid: body.vmid, node: to };
    }),
    action("POST", "/clock/advance {seconds}", (_, body) => {
      world.clock.advance(number(body.seconds, "seconds"));
      return { time: world.clock.now() };
    }),
    action("POST", "/storage/fill {node, storage, leaveBytes?}", (_, body) => fill(world, body)),
    action("POST", "/storage/empty {node, storage}", (_, body) =>
      fill(world, { ...body, leaveBytes: Number.MAX_SAFE_INTEGER }),
    ),
    action("POST", "/faults/task {type, message?}", (_, body) => {
      world.faults.failNext(
        text(body.type, "type"),
        typeof body.message === "string" ? body.message : "command failed: exit code 1",
      );
      return { type: body.type };
    }),
    action("POST", "/faults {seed?, errorRate?, lockRate?, latencyMs?, slowdown?}", (_, body) => {
      const { faults } = world;
      if (body.seed !== undefined) faults.seed(number(body.seed, "seed"));
      if (body.errorRate !== undefined) faults.errorRate = number(body.errorRate, "errorRate");
      if (body.lockRate !== undefined) faults.lockRate = number(body.lockRate, "lockRate");
      if (body.latencyMs !== undefined) faults.latencyMs = number(body.latencyMs, "latencyMs");
      if (body.slowdown !== undefined) faults.slowdown = number(body.slowdown, "slowdown");
      return {
        errorRate: faults.errorRate,
        lockRate: faults.lockRate,
        latencyMs: faults.latencyMs,
        slowdown: faults.slowdown,
      };
    }),
    action("POST", "/faults/clear", () => {
      world.faults.clear();
      return {};
    }),
    action("POST", "/guests/{vmid}/boot-time {seconds}", ([vmid], body) => {
      const { domain, guest } = guestOf(world, vmid!);
      guest.bootSeconds = number(body.seconds, "seconds");
      domain.save();
      return { vmid: guest.vmid, seconds: guest.bootSeconds };
    }),
    action("POST", "/guests/{vmid}/lock {lock?}", ([vmid], body) => {
      const { domain, guest } = guestOf(world, vmid!);
      if (body.lock === undefined) delete guest.config.lock;
      else guest.config.lock = text(body.lock, "lock");
      domain.save();
      return { vmid: guest.vmid, lock: guest.config.lock };
    }),
    action("POST", "/guests/{vmid}/write {text, bytes?}", async ([vmid], body) => {
      const { file, grow, read } = dataFile(world, vmid!);
      if (!read) throw new Error(`guest ${vmid} does not run, it cannot write`);
      const line = text(body.text, "text");
      const { runtime } = world;
      if (runtime) {
        const { guest } = guestOf(world, vmid!);
        const { status } = await runtime.request(guest.vmid, "POST", "/write", line, guest.node);
        if (status !== 200) throw new Error(`guest ${vmid} could not write`);
      } else fs.appendFileSync(file, `${line}\n`);
      grow(body.bytes === undefined ? line.length + 1 : number(body.bytes, "bytes"));
      return { vmid: Number(vmid) };
    }),
    action("POST", "/guests/{vmid}/request {method?, path?, body?, node?}", ([vmid], body) => {
      if (!world.runtime) throw new Error("the lab has no real hosts: its guests answer nobody");
      const word = (name: string, fallback: string) => (body[name] === undefined ? fallback : text(body[name], name));
      return world.runtime.request(
        Number(vmid),
        word("method", "GET"),
        word("path", "/"),
        typeof body.body === "string" ? body.body : "",
        body.node === undefined ? undefined : text(body.node, "node"),
      );
    }),
    action("POST", "/guests/{vmid}/network {address}", ([vmid], body) => {
      world.state.guestAddresses = { ...world.state.guestAddresses, [vmid!]: text(body.address, "address") };
      world.save();
      return { vmid: Number(vmid), address: body.address };
    }),
    action("POST", "/nodes/{node}/boot-time {seconds}", ([node], body) => {
      const seconds = number(body.seconds, "seconds");
      world.state.hostBootSeconds = { ...world.state.hostBootSeconds, [node!]: seconds };
      world.save();
      return { node, seconds };
    }),
    action("POST", "/snippets {node, name, text}", (_, body) => {
      const node = text(body.node, "node");
      const domain = world.domainOf(node);
      if (!domain) throw new Error(`there is no node '${node}'`);
      const bytes = text(body.text, "text");
      const size = Buffer.byteLength(bytes);
      const name = `snippets/${text(body.name, "name")}`;
      addVolume(
        domain,
        node,
        domain.storage("local", node),
        { name, content: "snippets", format: "snippet", size, used: size },
        bytes,
      );
      return { volid: `local:${name}` };
    }),
    action("GET", "/hooks", () => world.hookCalls),
    action("GET", "/hosts", () => world.hosts?.describe() ?? {}),
    action("GET", "/guests/{vmid}/data", ([vmid]) => ({ text: fs.readFileSync(dataFile(world, vmid!).file, "utf8") })),
    ...pbsActions(world),
    action("GET", "/calls", () => world.calls.report()),
    action("POST", "/calls/reset", () => {
      world.calls.reset();
      return {};
    }),
    action("GET", "/coverage", () => ({
      validated: validator !== undefined,
      handled: router.handled(),
      text:
        validator?.coverage(router.handled()) ??
        "No API schema was given: the lab answers the calls listed, without checking parameters.",
    })),
  ];
}
