import { copyArguments, dataDrives, parseGuestConf } from "../../operations/guest-conf";

const text = `#Notes of the guest%3A anything
agent: 0
boot: order=scsi0
cores: 4
efidisk0: tank:vm-113-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M
hookscript: local:snippets/coldspare-guard
hostpci0: 0000:01:00
ide2: tank:vm-113-cloudinit,media=cdrom
ide3: local:iso/windows.iso,media=cdrom,size=5G
ipconfig0: ip=192.168.20.13/24,gw=192.168.20.1
lock: backup
memory: 8192
name: sql-erp
net0: virtio=02:11:22:33:44:55,bridge=vmbr0,firewall=1,tag=20
net1: virtio=02:11:22:33:44:66,bridge=vmbr1
onboot: 1
scsi0: tank:vm-113-disk-1,discard=on,iothread=1,replicate=0,size=100G
scsihw: virtio-scsi-single
smbios1: uuid=5c0f1f8e-0000-4000-8000-000000000001
startup: order=30,up=30
tags: coldspare;windows
unused0: tank:vm-113-disk-9
vmgenid: 5c0f1f8e-0000-4000-8000-000000000002

[before-update]
cores: 2
scsi0: tank:vm-113-disk-1,size=80G
`;

const options = {
  name: "sql-erp-drill",
  tags: ["coldspare-drill"],
  description: "Drill of sql-erp.",
  paths: { "tank:vm-113-disk-0": "/dev/zvol/tank/vm-113-disk-0", "tank:vm-113-disk-1": "/dev/zvol/tank/vm-113-disk-1" },
  bridges: { 0: "csd1a2b3c4d" },
};

const pairs = (args: string[]) =>
  Object.fromEntries(args.flatMap((arg, index) => (index % 2 === 0 ? [[arg, args[index + 1]]] : [])));

test("a configuration is what stands before its first section, without notes", () => {
  const conf = parseGuestConf(text);
  expect(conf.cores).toBe("4");
  expect(conf.scsi0).toContain("size=100G");
  expect(conf.ide3).toBe("local:iso/windows.iso,media=cdrom,size=5G");
});

test("data drives are the disks, the firmware's and the TPM's volumes, and no media", () => {
  expect(dataDrives(parseGuestConf(text)).map(({ key, volume }) => `${key} ${volume}`)).toEqual([
    "efidisk0 tank:vm-113-disk-0",
    "scsi0 tank:vm-113-disk-1",
  ]);
});

test("a copy has the guest's hardware, full copies of its disks, and nothing that ties it to the guest's place", () => {
  expect(pairs(copyArguments(parseGuestConf(text), options))).toEqual({
    "--agent": "0",
    "--boot": "order=scsi0",
    "--cores": "4",
    "--description": "Drill of sql-erp.",
    "--efidisk0": "tank:0,import-from=/dev/zvol/tank/vm-113-disk-0,efitype=4m,pre-enrolled-keys=1",
    "--ide2": "tank:cloudinit",
    "--ide3": "none,media=cdrom",
    "--ipconfig0": "ip=192.168.20.13/24,gw=192.168.20.1",
    "--memory": "8192",
    "--name": "sql-erp-drill",
    "--net0": "virtio=02:11:22:33:44:55,bridge=csd1a2b3c4d",
    "--onboot": "0",
    "--scsi0": "tank:0,import-from=/dev/zvol/tank/vm-113-disk-1,discard=on,iothread=1",
    "--scsihw": "virtio-scsi-single",
    "--smbios1": "uuid=5c0f1f8e-0000-4000-8000-000000000001",
    "--tags": "coldspare-drill",
  });
});

test("on a spare in another subnet the copy gets the spare's addresses", () => {
  const args = copyArguments(parseGuestConf(text), { ...options, addresses: { 0: "ip=10.0.60.13/24,gw=10.0.60.1" } });
  expect(pairs(args)["--ipconfig0"]).toBe("ip=10.0.60.13/24,gw=10.0.60.1");
});

test("a volume whose place is not known stops the copy instead of leaving a disk out", () => {
  expect(() => copyArguments(parseGuestConf(text), { ...options, paths: {} })).toThrow(
    "where tank:vm-113-disk-0 (efidisk0) lies is not known",
  );
});
