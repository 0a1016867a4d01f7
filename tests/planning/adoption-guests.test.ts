import { interpretCluster } from "../../planning/adoption/interpret";
import type { ClusterSnapshot, GuestSnapshot } from "../../planning/adoption/snapshot";
import type { GuestSpecInput } from "../../planning/schema";
import { cluster, container, machine, node, off, replication, SMALL } from "./adoption-samples";

/** The only guest of a cluster, in the words of the specification. */
function interpreted(guest: GuestSnapshot, more: Partial<ClusterSnapshot> = {}) {
  const { site, guests } = interpretCluster(cluster({ guests: [guest], ...more }));
  const [told] = guests;
  const said = site.guests?.[told?.name ?? ""];
  return { said, left: told?.left ?? [], reason: told?.reason, name: told?.name };
}

type Said = Partial<GuestSpecInput> & Record<string, unknown>;

const ROOT = { cores: "2", memory: "1024", ostype: "debian", rootfs: "tank:subvol-1-disk-0,size=8G" };

describe("what a machine's configuration becomes", () => {
  const rows: [what: string, config: Record<string, string>, said: Said][] = [
    ["cores of all sockets", { cores: "4", sockets: "2" }, { cores: 8, sockets: 2 }],
    ["memory in MiB", { memory: "1536" }, { memoryGiB: 1.5 }],
    ["memory as newer releases write it", { memory: "current=4096" }, { memoryGiB: 4 }],
    ["a system", { ostype: "win11" }, { os: "windows-11" }],
    ["a system without a word", { ostype: "solaris" }, { os: "other" }],
    ["a processor", { cpu: "host" }, { cpuType: "host" }],
    ["UEFI", { bios: "ovmf", efidisk0: "tank:vm-100-disk-1,size=4M" }, { bios: "ovmf" }],
    ["a TPM", { tpmstate0: "tank:vm-100-disk-2,size=4M" }, { tpm: true }],
    ["the agent", { agent: "enabled=1,fstrim_cloned_disks=1" }, { agent: true }],
    ["an agent that is off", { agent: "0" }, { agent: undefined }],
    ["protection", { protection: "1" }, { protection: true }],
    ["start with the server", { onboot: "1" }, { boot: undefined }],
    ["no start with the server", {}, { boot: { atHostBoot: false } }],
    ["an order of start", { onboot: "1", startup: "order=3,up=30,down=60" }, { boot: { order: 3, delaySeconds: 30 } }],
    [
      "disks on several buses, in the provider's order",
      {
        virtio1: "tank:vm-100-disk-2,size=10G,discard=on",
        scsi10: "tank:vm-100-disk-3,size=4300M",
        scsi2: "nas:100/vm-100-disk-1.qcow2,size=1T,ssd=1,discard=on",
      },
      {
        disks: [
          { interface: "scsi0", sizeGiB: 32, storage: "tank", discard: false },
          { interface: "scsi2", sizeGiB: 1024, storage: "nas", ssd: true },
          { interface: "scsi10", sizeGiB: 4300 / 1024, storage: "tank", discard: false },
          { interface: "virtio1", sizeGiB: 10, storage: "tank" },
        ],
      },
    ],
    [
      "cards",
      { net0: "virtio=bc:24:11:00:00:01,bridge=vmbr0,firewall=1", net1: "e1000=BC:24:11:00:00:02,bridge=vmbr0,tag=20" },
      {
        networks: [
          { network: "vmbr0", interface: "net0", mac: "BC:24:11:00:00:01" },
          { network: "vlan20", interface: "net1", mac: "BC:24:11:00:00:02", firewall: false },
        ],
      },
    ],
    [
      "an address by cloud-init",
      { net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1", ipconfig0: "ip=192.168.10.50/24,gw=192.168.10.1" },
      { networks: [{ network: "vmbr0", interface: "net0", mac: "BC:24:11:00:00:01", address: "192.168.10.50" }] },
    ],
  ];
  test.each(rows)("%s", (_what, config, said) => {
    const result = interpreted(machine(100, "web", { ...SMALL, ...config }));
    expect(result.reason).toBeUndefined();
    expect({ ...said, ...result.said }).toEqual({ ...result.said, ...said });
    expect(result.said).toMatchObject({ kind: "vm", id: 100, on: "pve1", adopted: true });
    expect(result.said?.keep).toBeUndefined();
  });
});

describe("what a container's configuration becomes", () => {
  const rows: [what: string, config: Record<string, string>, said: Said][] = [
    ["privileged, unless it says otherwise", {}, { unprivileged: false }],
    ["unprivileged with nesting", { unprivileged: "1", features: "nesting=1" }, { unprivileged: true, nesting: true }],
    ["swap", { swap: "1024" }, { swapGiB: 1 }],
    ["no swap", { swap: "0" }, { swapGiB: 0 }],
    ["a system without a word", { ostype: "gentoo" }, { os: "unmanaged" }],
    [
      "mount points",
      { mp0: "tank:subvol-1-disk-1,mp=/srv/data,size=4G,backup=1", mp1: "tank:subvol-1-disk-2,mp=/var/x,size=1G" },
      {
        disks: [
          { interface: "rootfs", sizeGiB: 8, storage: "tank" },
          { interface: "mp0", sizeGiB: 4, storage: "tank", name: "data" },
          { interface: "mp1", sizeGiB: 1, storage: "tank" },
        ],
      },
    ],
    [
      "a static address of both families",
      {
        net0: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=192.168.10.9/24,gw=192.168.10.1,ip6=fd00::9/64,firewall=1",
      },
      {
        networks: [
          {
            network: "vmbr0",
            interface: "net0",
            mac: "BC:24:11:00:00:01",
            address: "192.168.10.9",
            address6: "fd00::9",
          },
        ],
      },
    ],
  ];
  test.each(rows)("%s", (_what, config, said) => {
    const result = interpreted(container(100, "web", { ...ROOT, ...config }));
    expect(result.reason).toBeUndefined();
    expect({ ...said, ...result.said }).toEqual({ ...result.said, ...said });
    expect(result.said?.keep).toBeUndefined();
  });
});

describe("what cannot be said in full is kept as it is, and told", () => {
  const web = (config: Record<string, string>) => machine(100, "web", { ...SMALL, ...config });
  const box = (config: Record<string, string>) => container(100, "web", { ...ROOT, ...config });
  const rows: [what: string, guest: GuestSnapshot, keep: string[], told: RegExp][] = [
    ["a disk of the server", web({ scsi1: "/dev/sdb,size=1T" }), ["disks"], /scsi1 is \/dev\/sdb of the server/],
    ["a disk without a size", web({ virtio0: "tank:vm-100-disk-1" }), ["disks"], /does not say its size/],
    ["a disk elsewhere", web({ sata0: "gone:vm-100-disk-1,size=8G" }), ["disks"], /storage gone, which is not/],
    ["a folder of the server", box({ mp0: "/srv/host,mp=/mnt" }), ["disks"], /mp0 is \/srv\/host/],
    ["mount points with a gap", box({ mp2: "tank:subvol-1-disk-1,mp=/x,size=1G" }), ["disks"], /mp2 are not numbered/],
    [
      "a trunk",
      web({ net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,trunks=5;6" }),
      ["networks"],
      /VLANs 5;6 as a trunk/,
    ],
    ["a card on no bridge", web({ net0: "virtio=BC:24:11:00:00:01" }), ["networks"], /net0 is on no bridge/],
    [
      "a container's cards with a gap",
      box({ net1: "name=eth1,bridge=vmbr0,hwaddr=BC:24:11:00:00:01" }),
      ["networks"],
      /net1 are not numbered/,
    ],
    ["more sockets than the words take", web({ sockets: "8" }), ["cpu"], /8 sockets/],
    ["cores that are not plugged in", web({ vcpus: "1" }), ["cpu"], /starts with 1 of its 2 cores/],
    ["a container without a limit", container(100, "web", { ...ROOT, cores: "" }), ["cpu"], /every core of pve1/],
    [
      "changes that wait",
      machine(100, "web", SMALL, { pending: ["cores", "memory", "net0", "scsi0", "vga"] }),
      ["disks", "networks", "cpu", "memory"],
      /a change of vga waits/,
    ],
  ];
  test.each(rows)("%s", (_what, guest, keep, told) => {
    const { said, left, reason } = interpreted(guest);
    expect(reason).toBeUndefined();
    expect(said?.keep).toEqual(keep);
    expect(left.join("\n")).toMatch(told);
  });
});

describe("what has no word is told of", () => {
  const rows: [what: string, guest: GuestSnapshot, told: string | RegExp][] = [
    ["tags", machine(100, "web", SMALL, { tags: ["prod", "web"] }), "tags prod and web"],
    ["a pool", machine(100, "web", SMALL, { pool: "office" }), "member of the pool office"],
    ["snapshots", machine(100, "web", SMALL, { snapshots: ["a", "b"] }), /^snapshots \(a and b\)/],
    ["rules", machine(100, "web", SMALL, { firewall: { enabled: true, rules: 2 } }), /firewall is on, with 2 rules/],
    ["a hook script", machine(100, "web", { ...SMALL, hookscript: "local:snippets/x.pl" }), /hook script local/],
    ["a device", machine(100, "web", { ...SMALL, hostpci0: "0000:01:00" }), /^hostpci0 is a device of pve1/],
    [
      "a CD",
      machine(100, "web", { ...SMALL, ide2: "local:iso/x.iso,media=cdrom" }),
      "ide2 is a CD drive with local:iso/x.iso",
    ],
    ["a balloon", machine(100, "web", { ...SMALL, balloon: "512" }), /may shrink to 512 MiB/],
    [
      "another model",
      machine(100, "web", { ...SMALL, net0: "e1000=BC:24:11:00:00:01,bridge=vmbr0" }),
      "net0 is of the model e1000",
    ],
    [
      "a disk without backup",
      machine(100, "web", { ...SMALL, scsi0: `${SMALL.scsi0},backup=0` }),
      /left out of backups/,
    ],
    [
      "a mount point without backup",
      container(100, "web", { ...ROOT, mp0: "tank:s,mp=/srv/x,size=1G" }),
      "mp0 is left out of backups (as mount points are that do not ask for it)",
    ],
    ["options", machine(100, "web", { ...SMALL, scsi0: `${SMALL.scsi0},cache=none` }), /options without a word: cache/],
    [
      "a volume beside",
      machine(100, "web", { ...SMALL, unused0: "tank:vm-100-disk-9" }),
      /^unused0 is tank:vm-100-disk-9/,
    ],
    [
      "other settings",
      machine(100, "web", { ...SMALL, vga: "qxl", args: "-x" }),
      "settings without a word: args and vga",
    ],
    [
      "where it is mounted",
      container(100, "web", { ...ROOT, mp0: "tank:s,mp=/var/x,size=1G,backup=1" }),
      "mp0 is mounted at /var/x",
    ],
    [
      "an address elsewhere",
      machine(100, "web", { ...SMALL, net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0", ipconfig0: "ip=10.0.0.1/8" }),
      /net0 has the address 10\.0\.0\.1\/8/,
    ],
  ];
  test.each(rows)("%s", (_what, guest, told) => {
    const { left, reason, said } = interpreted(guest);
    expect(reason).toBeUndefined();
    expect(said?.keep).toBeUndefined();
    expect(left).toContainEqual(typeof told === "string" ? told : expect.stringMatching(told));
  });

  test("a password is named and not repeated", () => {
    const guest = machine(100, "web", {
      ...SMALL,
      cipassword: "geheim",
      ciuser: "admin",
      sshkeys: "ssh-ed25519%20AAAA",
    });
    expect(interpreted(guest).left).toEqual(["3 cloud-init settings (cipassword, ciuser, sshkeys)"]);
    expect(JSON.stringify(interpretCluster(cluster({ guests: [guest] })))).not.toContain("geheim");
  });
});

describe("what is not taken over has a reason and a way out", () => {
  const rows: [what: string, guest: GuestSnapshot, reason: RegExp][] = [
    ["a template", machine(100, "web", SMALL, { template: true }), /is a template.*a backup job can copy it/],
    ["a lock", machine(100, "web", SMALL, { lock: "backup" }), /locked \(backup\).*'qm unlock 100'/],
    ["a lock of a container", container(100, "web", ROOT, { lock: "snapshot" }), /'pct unlock 100'/],
    ["a low id", machine(99, "web", SMALL), /id 99 is below 100/],
    ["no disk", machine(100, "web", { cores: "1" }), /no disk that a specification can say: give it one/],
    ["only a disk of the server", machine(100, "web", { scsi0: "/dev/sdb,size=1T" }), /no disk.*\/dev\/sdb/],
    [
      "a container whose root file system is elsewhere",
      container(100, "web", { ...ROOT, rootfs: "gone:x,size=8G", mp0: "tank:y,mp=/srv/y,size=1G" }),
      /no root file system that a specification can say \(rootfs lies on the storage gone/,
    ],
    ["no memory", machine(100, "web", { ...SMALL, memory: "8" }), /its memoryGiB cannot be said/],
    ["a server that is off", machine(100, "web", SMALL, { node: "pve3" }), /pve3 is off.*when pve3 is back/],
    ["an unknown server", machine(100, "web", SMALL, { node: "gone" }), /gone is not in the specification/],
    [
      "a copy of coldspare's own",
      machine(100, "web", SMALL, { tags: ["coldspare-spare"] }),
      /a copy that coldspare keeps/,
    ],
    ["a name that changes", machine(100, "web", SMALL, { pending: ["name"] }), /a change of its name waits/],
  ];
  test.each(rows)("%s", (_what, guest, reason) => {
    const result = interpreted(guest, { nodes: [node("pve1"), node("pve2"), off("pve3")] });
    expect(result.reason).toMatch(reason);
    expect(result.said).toBeUndefined();
  });

  const { ostype: _ostype, ...noSystem } = SMALL;
  const { memory: _memory, ...noMemory } = SMALL;
  const { name: _name, ...nameless } = machine(100, "web", SMALL);
  test.each<[what: string, guest: GuestSnapshot, reason: RegExp]>([
    ["no name", { ...nameless, config: SMALL }, /no name of its own.*qm set 100 --name/],
    ["no type of system", machine(100, "web", noSystem), /qm set 100 --ostype other/],
    ["no memory", machine(100, "web", noMemory), /qm set 100 --memory 512/],
    [
      "a gap between cards",
      machine(100, "web", { ...SMALL, net1: "virtio=BC:24:11:00:00:01,bridge=vmbr0" }),
      /cards \(net1\) are not numbered from net0/,
    ],
    [
      "a tiny disk",
      machine(100, "web", { ...SMALL, ide0: "tank:vm-100-disk-1,size=528K" }),
      /ide0 is smaller than 1 GiB/,
    ],
    ["sound", machine(100, "web", { ...SMALL, audio0: "device=AC97,driver=none" }), /--delete audio0/],
  ])("the provider: %s", (_what, guest, reason) => {
    expect(interpreted(guest).reason).toMatch(reason);
  });
  test("a sound card over spice is fine", () => {
    const guest = machine(100, "web", { ...SMALL, audio0: "device=AC97,driver=spice" });
    expect(interpreted(guest).reason).toBeUndefined();
  });

  test("a configuration that cannot be read", () => {
    const { config: _config, ...unread } = machine(100, "web", SMALL);
    expect(interpreted({ ...unread, unreadable: "403 Permission check failed" }).reason).toBe(
      "its configuration could not be read (403 Permission check failed): mend that, and import again",
    );
  });
});

describe("names", () => {
  const names = (...guests: GuestSnapshot[]) => {
    const { site } = interpretCluster(cluster({ guests }));
    return Object.fromEntries(
      Object.entries(site.guests ?? {}).map(([name, { id, hostname }]) => [id, [name, hostname]]),
    );
  };
  test("the host-name form, and the name as it is where that differs", () => {
    const titles = ["web", "Web.Example.org", "Datei Server", "Büro", "x_y", "-a-"];
    const all = titles.map((title, index) => machine(100 + index, title, SMALL));
    expect(names(...all)).toEqual({
      100: ["web", undefined],
      101: ["web-example-org", "Web.Example.org"],
      102: ["datei-server", "Datei Server"],
      103: ["buro", "Büro"],
      104: ["x-y", "x_y"],
      105: ["a", "-a-"],
    });
  });
  test("two of one name both get their id, whatever comes first", () => {
    const all = [machine(105, "web", SMALL), machine(101, "WEB", SMALL), machine(103, "web-101", SMALL)];
    const expected = { 101: ["web-101-2", "WEB"], 103: ["web-101", undefined], 105: ["web-105", "web"] };
    expect(names(...all)).toEqual(expected);
    expect(names(...all.toReversed())).toEqual({ ...expected });
  });
  test("none at all", () => {
    const { name: _name, ...containerWithout } = container(101, "", ROOT);
    expect(names(containerWithout, machine(102, "...", SMALL))).toEqual({
      101: ["ct101", "CT101"],
      102: ["vm-102", "..."],
    });
  });
});

describe("replicas", () => {
  const web = machine(100, "web", SMALL);
  const replicas = (...replicationJobs: ClusterSnapshot["replicationJobs"]) => interpreted(web, { replicationJobs });
  test("a job with its rate", () => {
    const { said, left } = replicas(replication("100-0", "pve2", { schedule: "*/5", rateMBps: 20 }));
    expect(said?.coldReplica).toEqual({ on: "pve2", method: "storage-replication", schedule: "*/5", rateMBps: 20 });
    expect(left).toEqual([]);
  });
  test("the one that is enabled; the others are told", () => {
    const three = { nodes: [node("pve1"), node("pve2"), node("pve3")] };
    const { said, left } = interpreted(web, {
      ...three,
      replicationJobs: [
        replication("100-10", "pve3"),
        replication("100-0", "pve3", { disabled: true }),
        replication("100-2", "pve2"),
      ],
    });
    expect(said?.coldReplica?.on).toBe("pve2");
    expect(left).toEqual([
      "replication job 100-0 to pve3 stays as it is: it is disabled",
      "replication job 100-10 to pve3 stays as it is: a guest has one cold replica: this is another one",
    ]);
  });
  test.each([
    [
      "a schedule nobody can read",
      replication("100-0", "pve2", { schedule: "now and then" }),
      /'now and then' cannot be read/,
    ],
    ["a server that is not there", replication("100-0", "gone"), /server gone is not in the specification/],
    ["its own server", replication("100-0", "pve1"), /the server where the guest runs/],
  ])("%s", (_what, job, told) => {
    const { said, left } = replicas(job);
    expect(said?.coldReplica).toBeUndefined();
    expect(left.join()).toMatch(told);
  });
  test("a job that does not carry every disk", () => {
    const guest = machine(100, "web", { ...SMALL, scsi1: "nas:100/vm-100-disk-1.raw,size=8G" });
    const { said, left } = interpreted(guest, { replicationJobs: [replication("100-0", "pve2")] });
    expect(said?.coldReplica).toBeUndefined();
    expect(left.join()).toMatch(/its disk scsi1 lies on nas, which is no local ZFS/);
  });
  test("a job of a guest that is gone", () => {
    const { left } = interpretCluster(cluster({ replicationJobs: [replication("555-0", "pve2")] }));
    expect(left).toContainEqual({
      subject: "replication job 555-0",
      what: expect.stringContaining("pvesr delete 555-0"),
    });
  });
  test("HA is told", () => {
    expect(interpreted(web, { ha: [{ sid: "vm:100", state: "started" }] }).left.join()).toMatch(
      /managed by HA \(started\)/,
    );
    expect(interpreted(web, { ha: [{ sid: "ct:100" }] }).left).toEqual([]);
  });
});
