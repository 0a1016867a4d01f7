/** What belongs to a move beside the guest itself: commands of the site's own, networks, marks. */
import { normalTags } from "../providers/standby-inspect";
import { about, configAt, pathOf, type Return } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { DIVERGED_TAG } from "./live";
import type { Step } from "./steps";

/** The commands of a guest, and of its group where it is the first or the last of it. */
export function commandsStep(_run: Return, _each: ReturnGuest, _group: string | undefined, _when: string): Step[] {
  return [];
}

/** Networks as they are on that side, where the two differ. */
export function networksStep(_run: Return, _each: ReturnGuest, _server: string, _side: "primary" | "spare"): Step[] {
  return [];
}

/** The marks of an old side go, autostart is as the specification says: the guest is where it belongs. */
export function tidyStep({ operator }: Return, each: ReturnGuest, server: string): Step {
  const { guest, vmid, home } = each;
  return {
    id: `tidy-${guest}`,
    guest,
    title: `take the marks of the switch off ${guest}`,
    seconds: 2,
    optional: true,
    async run() {
      const config = await configAt(operator, each, server, vmid);
      const tags = normalTags(config.tags);
      const kept = tags.filter((tag) => tag !== DIVERGED_TAG);
      const onboot = operator.manifest.guests[guest]!.boot.atHostBoot;
      const changes = {
        ...(kept.length < tags.length && { tags: kept.join(";") }),
        ...((Number(config.onboot ?? 0) === 1) !== onboot && { onboot }),
      };
      if (Object.keys(changes).length > 0) {
        await operator.pve.put(`${pathOf(each, server, vmid)}/config`, changes, about("mark", each, vmid));
      }
      if (operator.manifest.servers[home]?.ssh === undefined) return;
      await operator.ssh.run(home, ["rm", "-f", `/var/lib/coldspare/diverged/${guest}`]);
    },
  };
}
