/** Who may do what on a backup server, and what it fetches from, as Pulumi resources. */
import * as pulumi from "@pulumi/pulumi";
import { HandlerResource } from "../dynamic";
import type { PbsRole } from "./acl";
import type { PbsArgs, PbsSectionArgs } from "./datastore-resources";

/** Arguments of {@link PbsRemote}. */
export interface PbsRemoteArgs extends PbsSectionArgs {
  /** 3 to 32 characters. A change replaces the resource. */
  name: string;
  /** Host name or address of the other backup server. */
  host: pulumi.Input<string>;
  /** Default: 8007. */
  port?: number;
  /** Who to log in as there, `sync@pbs!attic`. */
  authId: pulumi.Input<string>;
  /** The token's secret, or the user's password, there. One of `password` and `passwordSecret`. */
  password?: pulumi.Input<string>;
  /** Name of the secret in the stack's configuration: `coldspare:<name>`. */
  passwordSecret?: string;
  /** SHA-256 fingerprint of its certificate, which is self-signed after installation. */
  fingerprint?: pulumi.Input<string>;
}

/**
 * Another backup server that this one fetches from.
 *
 * ```ts
 * new PbsRemote("attic-remote", { server: "attic", name: "office", host: "192.168.10.13", authId: token.tokenId, password: token.secret, fingerprint });
 * ```
 *
 * The server never shows the password, so of a remote that exists it is written again. In the state is a hash of it, marked secret.
 */
export class PbsRemote extends HandlerResource {
  declare readonly name: pulumi.Output<string>;

  constructor(name: string, args: PbsRemoteArgs, opts?: pulumi.CustomResourceOptions) {
    if ((args.password === undefined) === (args.passwordSecret === undefined)) {
      throw new pulumi.RunError(`The remote ${name} has no password, or two: give either password or passwordSecret`);
    }
    const password = args.password === undefined ? {} : { password: pulumi.secret(args.password) };
    const props = { ...args, ...password, passwordHash: undefined };
    super("PbsRemote", "pbs/remote-handler", name, props, withSecrets(["passwordHash"], opts));
  }
}

/** Arguments of {@link PbsUser}. */
export interface PbsUserArgs extends PbsSectionArgs {
  /** `name@realm`, for instance coldspare@pbs. A change replaces the resource. */
  userId: string;
  /** Default: true. */
  enable?: boolean;
  /** Epoch seconds; 0 for never. Default: 0. */
  expire?: number;
  email?: string;
}

/**
 * A user of a backup server, who owns tokens. It gets no password: it logs in with its tokens only.
 *
 * ```ts
 * new PbsUser("office-user", { server: "office", userId: "coldspare@pbs" }, { parent });
 * ```
 *
 * Deletion keeps a user that has tokens which this program did not make.
 */
export class PbsUser extends HandlerResource {
  declare readonly userId: pulumi.Output<string>;

  constructor(name: string, args: PbsUserArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsUser", "pbs/user-handler", name, { ...args }, opts);
  }
}

/** Arguments of {@link PbsToken}. */
export interface PbsTokenArgs extends PbsArgs {
  /** `name@realm`. A change replaces the token. */
  userId: pulumi.Input<string>;
  /** The token's own name, without the user. A change replaces the token. */
  tokenName: string;
  /** Default: true. */
  enable?: boolean;
  /** Epoch seconds; 0 for never. Default: 0. */
  expire?: number;
  comment?: string;
  /** Any word. Another one gives the token a new secret, and whoever uses the old one loses access: for a lost secret. */
  regenerate?: string;
}

/**
 * An API token of a user of a backup server.
 *
 * ```ts
 * const token = new PbsToken("office-token", { server: "office", userId: user.userId, tokenName: "pve" }, { parent });
 * new proxmoxve.storage.Pbs("office-storage", { ..., username: token.tokenId, password: token.secret });
 * ```
 *
 * The server shows the secret once, when it makes the token. It is an output that the engine encrypts in the state. A token that
 * exists already is an error, as its secret is unknown, unless `regenerate` says to give it a new one.
 *
 * A token has those rights only that its user has, too.
 */
export class PbsToken extends HandlerResource {
  /** `user@realm!name`. */
  declare readonly tokenId: pulumi.Output<string>;
  /** The secret alone; encrypted in the state. */
  declare readonly secret: pulumi.Output<string>;

  constructor(name: string, args: PbsTokenArgs, opts?: pulumi.CustomResourceOptions) {
    const props = { ...args, tokenId: undefined, secret: undefined };
    super("PbsToken", "pbs/token-handler", name, props, withSecrets(["secret"], opts));
  }
}

/** Arguments of {@link PbsAcl}. A change of any but `propagate` replaces the right. */
export interface PbsAclArgs extends PbsArgs {
  /** `/datastore/<store>/<namespace>`, `/remote/<name>/<store>`, `/`. */
  path: pulumi.Input<string>;
  /** A user, or a token, `user@realm!name`. */
  authId: pulumi.Input<string>;
  role: PbsRole;
  /** Holds below the path, too. Default: true. */
  propagate?: boolean;
}

/**
 * One right: a role for a user or token at a path. Others at the same path are left alone.
 *
 * ```ts
 * new PbsAcl("office-token-acl", { server: "office", path: "/datastore/main/office", authId: token.tokenId, role: "DatastoreBackup" });
 * ```
 *
 * `DatastoreBackup` makes backups and reads back one's own; it removes none. `DatastorePowerUser` also prunes one's own.
 */
export class PbsAcl extends HandlerResource {
  constructor(name: string, args: PbsAclArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsAcl", "pbs/acl-handler", name, { ...args }, opts);
  }
}

/** Arguments of {@link PbsTrafficControl}. */
export interface PbsTrafficControlArgs extends PbsSectionArgs {
  /** 3 to 32 characters. A change replaces the rule. */
  name: string;
  /** Networks of the clients, `192.168.10.0/24`. */
  networks: string[];
  /** Bandwidth per second with a unit, `20MB`; what comes in are backups, what goes out are restores. Default: no limit. */
  rateIn?: string;
  rateOut?: string;
  /** What may pass above the rate for a moment. */
  burstIn?: string;
  burstOut?: string;
  /** When it holds, `mon..fri 8:00-18:00`. Default: always. */
  timeframes?: string[];
  /** Users or tokens it holds for. Default: all. */
  users?: pulumi.Input<string>[];
}

/**
 * A limit of the bandwidth between a backup server and clients in some networks.
 *
 * ```ts
 * new PbsTrafficControl("office-hours", { server: "office", name: "office-hours", networks: ["0.0.0.0/0"], rateIn: "20MB", timeframes: ["mon..fri 8:00-18:00"] });
 * ```
 */
export class PbsTrafficControl extends HandlerResource {
  constructor(name: string, args: PbsTrafficControlArgs, opts?: pulumi.CustomResourceOptions) {
    super("PbsTrafficControl", "pbs/traffic-control-handler", name, { ...args }, opts);
  }
}

function withSecrets(names: string[], opts: pulumi.CustomResourceOptions = {}): pulumi.CustomResourceOptions {
  return pulumi.mergeOptions({ additionalSecretOutputs: names }, opts);
}
