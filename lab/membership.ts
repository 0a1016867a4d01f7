import { createHash } from "node:crypto";
import type { Domain } from "./domain";
import { allProcesses, assignProcesses } from "./processes";
import { CLUSTER_FILES, type ClusterFiles, type DomainState, type NodeView } from "./state";

/**
 * Who sees whom, and which copy of the cluster file system each node reads. Every node has a copy of its own (pmxcfs). Nodes
 * that see each other share one; the lab keeps that of the component that counts in the domain's state, and a frozen copy for
 * every node that is down or cut off. When they meet again, the copy with the highest version wins, as pmxcfs decides it.
 */

/** The living nodes that a living node sees, itself included, in the cluster's order. */
export function component(domain: Domain, node: string): string[] {
  const names = domain.nodeNames();
  const found = new Set(domain.state.nodes[node]?.up ? [node] : []);
  // A set grows while it is walked: what a neighbour sees is seen too.
  for (const from of found) for (const to of names) if (domain.reaches(from, to)) found.add(to);
  return names.filter((name) => found.has(name));
}

export function components(domain: Domain): string[][] {
  const left = new Set(domain.nodeNames().filter((name) => domain.state.nodes[name]!.up));
  const found: string[][] = [];
  for (const name of left) {
    const members = component(domain, name);
    for (const member of members) left.delete(member);
    found.push(members);
  }
  return found;
}

/** The component that a witness votes for: the largest that reaches it, of equal ones that with the lowest node id (ffsplit). */
function favoured(domain: Domain, witness: string): string[] | undefined {
  const { world } = domain;
  return components(domain)
    .map((members) => ({
      members,
      reaching: members.filter((name) => world.connected(name, witness)).length,
    }))
    .filter(({ reaching }) => reaching > 0)
    .sort((a, b) => b.reaching - a.reaching)[0]?.members;
}

/** Votes that a node counts: those of the nodes it sees, and of each witness that is on their side. */
export function presentVotes(domain: Domain, node: string): number {
  const members = component(domain, node);
  const witnesses = Object.entries(domain.world.state.witnesses).filter(
    ([name, up]) => up && favoured(domain, name)?.includes(node),
  );
  return members.length + (members.length > 0 ? witnesses.length : 0);
}

function cut(state: DomainState): ClusterFiles {
  return Object.fromEntries(CLUSTER_FILES.map((key) => [key, structuredClone(state[key])])) as ClusterFiles;
}

function digest(files: ClusterFiles | DomainState): string {
  const hash = createHash("sha1");
  for (const key of CLUSTER_FILES) {
    if (key === "replicationState") continue;
    if (key !== "guests") hash.update(JSON.stringify(files[key]));
    else
      for (const { vmid, node, type, config, snapshots } of Object.values(files.guests))
        hash.update(JSON.stringify([vmid, node, type, config, snapshots]));
  }
  return hash.digest("hex");
}

/** Counts a change of the cluster file system, if there was one since the last look. */
export function countVersion(domain: Domain): void {
  const { main } = domain;
  if (!main.state.cluster) return;
  const look = (copy: { version: number; digest: string }, files: ClusterFiles | DomainState) => {
    const now = digest(files);
    if (now !== copy.digest) Object.assign(copy, { version: copy.version + 1, digest: now });
  };
  look(main.state.copy, main.state);
  // A node that is cut off can write only when it was told to expect fewer votes.
  for (const [node, view] of Object.entries(main.state.views)) if (main.quorate(node)) look(view, view.files);
}

/** Works out anew who belongs together: called after every change of nodes, witnesses and network. */
export function regroup(any: Domain): void {
  const domain = any.main;
  const { state } = domain;
  if (!state.cluster) return;
  // The network has changed already: whether a node could write until now is counted at each call.
  const now = digest(state);
  if (now !== state.copy.digest) state.copy = { version: state.copy.version + 1, digest: now };
  const before = state.members ?? domain.nodeNames();
  const retained = (members: string[]) => members.filter((name) => before.includes(name)).length;
  const [members = []] = components(domain).sort(
    (a, b) =>
      Number(domain.quorate(b[0]!)) - Number(domain.quorate(a[0]!)) || retained(b) - retained(a) || b.length - a.length,
  );
  const processes = allProcesses(domain);
  for (const name of before)
    if (!members.includes(name) && !state.views[name]) state.views[name] = { ...state.copy, files: cut(state) };
  const joining = members.flatMap((name) => state.views[name] ?? []).sort((a, b) => b.version - a.version);
  const newest = joining[0];
  if (newest && (retained(members) === 0 || newest.version > state.copy.version)) adopt(domain, newest);
  for (const name of members) delete state.views[name];
  state.members = members;
  assignProcesses(domain, processes);
  domain.save();
}

/** The copy becomes the one that counts. Guests keep their identity, as tasks that run hold on to them. */
function adopt(domain: Domain, view: NodeView): void {
  const { state } = domain;
  const old = state.guests;
  Object.assign(state, structuredClone(view.files));
  for (const [vmid, guest] of Object.entries(state.guests)) {
    const known = old[vmid];
    if (!known || known.type !== guest.type) continue;
    delete known.running;
    state.guests[vmid] = Object.assign(known, { node: guest.node, config: guest.config, snapshots: guest.snapshots });
  }
  state.copy = { version: view.version, digest: view.digest };
}

/** A state that reads the cluster files from a node's own copy, and everything else from the domain. */
export function overlaid(state: DomainState, node: string): DomainState {
  const own = new Set<PropertyKey>(CLUSTER_FILES);
  return new Proxy(state, {
    get: (target, key) => {
      const view = target.views[node];
      return Reflect.get(view && own.has(key) ? view.files : target, key);
    },
    set: (target, key, value) => {
      const view = target.views[node];
      return Reflect.set(view && own.has(key) ? view.files : target, key, value);
    },
  });
}
