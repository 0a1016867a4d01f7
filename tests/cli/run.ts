/** Runs the program in this process and keeps what it wrote. */
import { run } from "../../cli/program";

export interface Written {
  code: number;
  out: string;
  err: string;
}

export async function coldspare(args: string[], env: Record<string, string> = {}, tty = false): Promise<Written> {
  let out = "";
  let err = "";
  const stdout = { isTTY: tty, write: (text: string) => (out += text) };
  const stderr = { isTTY: tty, write: (text: string) => (err += text) };
  const code = await run(args, { stdout, stderr, env });
  return { code, out, err };
}

/** A minimal site that survives: two hypervisors in a cluster, a witness, one guest. As YAML. */
export const smallSite = `site: { name: small, cluster: small }
servers:
  one: &hypervisor
    roles: [hypervisor]
    cores: 8
    memoryGiB: 32
    location: left
    bridges: { vmbr0: { ports: [eno1] } }
    storages: { tank: { type: zfspool, sizeGiB: 500, content: [images] } }
  two: { <<: *hypervisor, location: right }
  vote: { roles: [witness], cores: 1, memoryGiB: 8, location: middle }
networks:
  office: { vlan: 20, subnet: 192.168.20.0/24 }
guests:
  web:
    kind: vm
    os: linux
    on: one
    cores: 2
    memoryGiB: 4
    disks: [{ sizeGiB: 20, storage: tank }]
    networks: [{ network: office, address: 192.168.20.10 }]
    coldReplica: { on: two, method: storage-replication, schedule: "*/15" }
`;
