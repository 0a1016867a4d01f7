import { Hosts } from "./hosts";
import { canRunHosts } from "./requirements";
import type { HostsOptions, LabHosts } from "./types";

export { canRunHosts, type HostsCheck } from "./requirements";
export type {
  BmcBehaviour,
  DownReason,
  ExecOptions,
  ExecResult,
  HostBind,
  HostSpecification,
  HostsOptions,
  LabHosts,
  RouterAddress,
} from "./types";

/**
 * Makes the hosts' surroundings (network, ports, BMCs); none is up until `boot`.
 *
 * @throws Error when this machine cannot carry real hosts, or another lab that lives uses the folder
 */
export async function startHosts(options: HostsOptions): Promise<LabHosts> {
  const check = canRunHosts();
  if (!check.ok) throw new Error(check.why);
  const hosts = new Hosts(options);
  try {
    await hosts.open();
  } catch (error) {
    await hosts.stop();
    throw error;
  }
  return hosts;
}
