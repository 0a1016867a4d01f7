/**
 * What the dynamic resources of this package share: the text that the engine keeps as their provider, and the base class.
 *
 * `pulumi.dynamic.Resource` serialises the provider object, all its functions included, into the state of every resource
 * (twice: inputs and outputs) and loads the TypeScript compiler to do so. The engine only ever asks of that text that it
 * exports `handler()`, which returns the provider. So we write the text ourselves: one line that loads the handler
 * from the installed package when it is called. It holds no path, no dependency and no secret, and it is the same for every
 * resource of a class. An old state therefore runs the handler of the release that is installed now: handler names are
 * part of the public contract, and handlers accept what older releases wrote.
 */
import * as pulumi from "@pulumi/pulumi";

/** Names of the handler modules; they occur in stored state and are never renamed. */
export type HandlerModule =
  | "registered-guest-handler"
  | "replication-pair-handler"
  | "server-guard-handler"
  | "standby-guest-handler"
  | "backup-agent-handler"
  | "pbs/acl-handler"
  | "pbs/datastore-handler"
  | "pbs/namespace-handler"
  | "pbs/prune-job-handler"
  | "pbs/remote-handler"
  | "pbs/sync-job-handler"
  | "pbs/token-handler"
  | "pbs/traffic-control-handler"
  | "pbs/user-handler"
  | "pbs/verify-job-handler";

/**
 * The provider text of a handler module.
 *
 * Resolution starts at the working directory of the provider process, which is the program's folder: there Node finds
 * `node_modules/coldspare` of a project that installed the package, or, inside this package's own checkout, the package
 * by its own name.
 */
export function providerText(handler: HandlerModule): string {
  const load = 'require("module").createRequire(process.cwd()+"/_")';
  return `exports.handler=()=>${load}("coldspare/providers/${handler}").provider`;
}

/** A dynamic resource whose handler is loaded from this package when the engine calls it. */
export class HandlerResource extends pulumi.CustomResource {
  constructor(
    type: string,
    handler: HandlerModule,
    name: string,
    props: pulumi.Inputs,
    opts?: pulumi.CustomResourceOptions,
  ) {
    // The SDK writes the stack trace of every resource into its state: 700 bytes that say nothing of a component's child.
    const prepare = Error.prepareStackTrace;
    Error.prepareStackTrace = (error) => String(error);
    try {
      super(`pulumi-nodejs:dynamic/coldspare:${type}`, name, { ...props, __provider: providerText(handler) }, opts);
    } finally {
      Error.prepareStackTrace = prepare;
    }
  }
}
