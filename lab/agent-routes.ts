import { anyOf, type Call, flag, list, perm, type Route, route } from "./call";
import { fail } from "./errors";
import { hasBooted } from "./power";
import { parseProperties } from "./property-string";
import type { Guest } from "./state";

const AGENT = "/nodes/{node}/qemu/{vmid}/agent";
const AUDIT = anyOf("/vms/{vmid}", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted");
const FREEZE = anyOf("/vms/{vmid}", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted");

/** The guest, if its agent answers: it is enabled, the guest runs, and its boot is over. */
function answering(call: Call): Guest {
  const guest = call.domain.guestOn(call.node, "qemu", call.path.vmid!);
  const agent = parseProperties(guest.config.agent ?? "0", "enabled");
  if (!flag(agent.enabled)) throw fail("No QEMU guest agent configured");
  if (!guest.running) throw fail(`VM ${guest.vmid} is not running`);
  if (!hasBooted(call.domain, guest)) throw fail("QEMU guest agent is not running");
  return guest;
}

function interfaces(call: Call): Record<string, unknown> {
  const guest = answering(call);
  const cards = Object.keys(guest.config)
    .filter((key) => /^net\d+$/.test(key))
    .sort()
    .map((key) => {
      const number = key.slice(3);
      const ip = parseProperties(guest.config[`ipconfig${number}`] ?? "", "ip").ip;
      const fixed = ip && ip !== "dhcp" ? ip.split("/") : undefined;
      const address = fixed?.[0] ?? `192.0.2.${(guest.vmid % 200) + 20}`;
      return {
        name: `eth${number}`,
        "hardware-address": /=([0-9A-F:]{17})/i.exec(guest.config[key]!)?.[1]?.toLowerCase() ?? "",
        "ip-addresses": [{ "ip-address": address, "ip-address-type": "ipv4", prefix: Number(fixed?.[1] ?? 24) }],
      };
    });
  const loopback = {
    name: "lo",
    "hardware-address": "00:00:00:00:00:00",
    "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4", prefix: 8 }],
  };
  return { result: [loopback, ...cards] };
}

function osInfo(call: Call): Record<string, unknown> {
  const guest = answering(call);
  const windows = /^w/.test(guest.config.ostype ?? "");
  return {
    result: windows
      ? { id: "mswindows", name: "Microsoft Windows", "pretty-name": "Windows Server" }
      : { id: "debian", name: "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13", "version-id": "13" },
  };
}

function decodeKeys(text: string): string[] {
  return decodeURIComponent(text)
    .split("\n")
    .filter((line) => line.trim() !== "");
}

/** The cloud-init document that the guest would read. */
function cloudInit(call: Call): string {
  const guest = call.domain.guestOn(call.node, "qemu", call.path.vmid!);
  const { config } = guest;
  const kind = call.params.type ?? "user";
  if (kind === "user") {
    const keys = config.sshkeys ? decodeKeys(config.sshkeys) : [];
    return [
      "#cloud-config",
      `hostname: ${config.name ?? `VM${guest.vmid}`}`,
      "manage_etc_hosts: true",
      ...(config.ciuser ? [`user: ${config.ciuser}`] : []),
      ...(config.cipassword ? ["password: '**********'"] : []),
      ...(keys.length > 0 ? ["ssh_authorized_keys:", ...keys.map((key) => `  - ${key}`)] : []),
      "chpasswd:",
      "  expire: False",
      "users:",
      "  - default",
      ...(config.ciupgrade === "0" ? [] : ["package_upgrade: true"]),
      "",
    ].join("\n");
  }
  if (kind === "meta") return `instance-id: ${config.vmgenid ?? guest.vmid}\n`;
  const cards = Object.keys(config)
    .filter((key) => /^net\d+$/.test(key))
    .sort();
  const text = ["version: 1", "config:"];
  for (const key of cards) {
    const ip = parseProperties(config[`ipconfig${key.slice(3)}`] ?? "", "ip");
    text.push(
      "    - type: physical",
      `      name: eth${key.slice(3)}`,
      `      mac_address: '${/=([0-9A-F:]{17})/i.exec(config[key]!)?.[1]?.toLowerCase() ?? ""}'`,
      "      subnets:",
    );
    if (!ip.ip || ip.ip === "dhcp") text.push("      - type: dhcp4");
    else
      text.push(
        "      - type: static",
        `        address: '${ip.ip}'`,
        ...(ip.gw ? [`        gateway: '${ip.gw}'`] : []),
      );
  }
  text.push(
    "    - type: nameserver",
    "      address:",
    ...list(config.nameserver).map((server) => `      - '${server}'`),
    "      search:",
    `      - '${config.searchdomain ?? ""}'`,
    "",
  );
  return text.join("\n");
}

const CLOUD_INIT_KEYS =
  /^(ciuser|cipassword|citype|cicustom|ciupgrade|ipconfig\d+|nameserver|searchdomain|sshkeys|name)$/;

/** The guest agent and cloud-init. */
export const agentRoutes: Route[] = [
  route("GET", AGENT, undefined, () =>
    ["ping", "get-osinfo", "network-get-interfaces", "shutdown", "get-host-name"].map((name) => ({ name })),
  ),
  route("POST", `${AGENT}/ping`, AUDIT, (call) => {
    answering(call);
    return { result: {} };
  }),
  route("GET", `${AGENT}/network-get-interfaces`, AUDIT, interfaces),
  route("GET", `${AGENT}/get-osinfo`, AUDIT, osInfo),
  route("GET", `${AGENT}/get-host-name`, AUDIT, (call) => ({
    result: { "host-name": answering(call).config.name ?? "" },
  })),
  route("GET", `${AGENT}/info`, AUDIT, (call) => {
    answering(call);
    return { result: { version: "10.0.0", supported_commands: [] } };
  }),
  route("POST", `${AGENT}/fsfreeze-freeze`, FREEZE, (call) => {
    answering(call);
    return { result: 1 };
  }),
  route("POST", `${AGENT}/fsfreeze-thaw`, FREEZE, (call) => {
    answering(call);
    return { result: 1 };
  }),
  route("GET", "/nodes/{node}/qemu/{vmid}/cloudinit/dump", perm("/vms/{vmid}", "VM.Audit"), cloudInit),
  route("GET", "/nodes/{node}/qemu/{vmid}/cloudinit", perm("/vms/{vmid}", "VM.Audit"), (call) => {
    const guest = call.domain.guestOn(call.node, "qemu", call.path.vmid!);
    return Object.entries(guest.config)
      .filter(([key]) => CLOUD_INIT_KEYS.test(key))
      .map(([key, value]) => ({ key, value: key === "cipassword" ? "**********" : value }));
  }),
  route("PUT", "/nodes/{node}/qemu/{vmid}/cloudinit", perm("/vms/{vmid}", "VM.Config.Cloudinit"), (call) => {
    call.domain.guestOn(call.node, "qemu", call.path.vmid!);
    return null;
  }),
];
