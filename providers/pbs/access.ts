/** Users of a backup server and other backup servers that it fetches from. */
import { createHash } from "node:crypto";
import type { Handler, InputFailure, PbsContext } from "../serve";
import { checkAuthId, checkId, checkUser } from "./names";
import { type Section, type SectionInputs, sectionHandler } from "./section";

/** Inputs of a user; see `PbsUser`. */
export interface PbsUserInputs extends SectionInputs {
  userId: string;
  enable?: boolean;
  expire?: number;
  email?: string;
  comment?: string;
}

export const USER: Section<PbsUserInputs> = {
  noun: "user",
  path: "/access/users",
  key: "userId",
  keyWire: "userid",
  removeCommand: "proxmox-backup-manager user remove",
  properties: {
    enable: { wire: "enable", kind: "flag", initial: true },
    expire: { wire: "expire", kind: "number", initial: 0 },
    email: { wire: "email", kind: "text", loose: true },
    comment: { wire: "comment", kind: "text", loose: true },
  },
  check: ({ userId }) => checkUser("userId", userId),
};

/** The life of a user. One that still has tokens is not removed: they are somebody's way in, and would go with it. */
export function userHandler(): Handler<PbsUserInputs, PbsUserInputs, PbsContext> {
  const section = sectionHandler(USER);
  return {
    ...section,
    async delete(context, id, props) {
      const { server, userId } = props;
      const users = await context
        .pbs(server)
        .get<{ userid: string; tokens?: { tokenid: string }[] }[]>(
          "/access/users",
          { include_tokens: true },
          { doing: `look at the user '${userId}'` },
        );
      const tokens = users.find(({ userid }) => userid === userId)?.tokens ?? [];
      if (tokens.length === 0) return section.delete(context, id, props);
      const names = tokens.map(({ tokenid }) => tokenid).join(", ");
      context.progress(
        `${server}: the user ${userId} stays, as it has tokens that this program did not make (${names}). Remove it by hand: \`proxmox-backup-manager user remove ${userId}\``,
      );
    },
  };
}

/** Inputs of a remote; see `PbsRemote`. */
export interface PbsRemoteInputs extends SectionInputs {
  name: string;
  host: string;
  port?: number;
  authId: string;
  fingerprint?: string;
  comment?: string;
  /** One of the two. */
  password?: string;
  passwordSecret?: string;
}

/** What is recorded: never the password, but a hash by which another one is noticed; empty when a refresh noticed one. */
export interface PbsRemoteState extends Omit<PbsRemoteInputs, "password"> {
  passwordHash: string;
}

type RemoteEntry = Omit<PbsRemoteInputs, "passwordSecret">;

export const REMOTE: Section<RemoteEntry> = {
  noun: "remote",
  path: "/config/remote",
  key: "name",
  keyWire: "name",
  removeCommand: "proxmox-backup-manager remote remove",
  properties: {
    host: { wire: "host", kind: "text" },
    port: { wire: "port", kind: "number", initial: 8007 },
    authId: { wire: "auth-id", kind: "text" },
    fingerprint: { wire: "fingerprint", kind: "text" },
    comment: { wire: "comment", kind: "text", loose: true },
    password: { wire: "password", kind: "text", once: true },
  },
  check: ({ name, authId }) => [...checkId("name", name), ...checkAuthId("authId", authId)],
};

/** The life of a remote. Its password is never shown by the server, so it is written whenever it is another one than before. */
export function remoteHandler(): Handler<PbsRemoteInputs, PbsRemoteState, PbsContext> {
  const section = sectionHandler(REMOTE);
  const entryOf = (inputs: PbsRemoteInputs | PbsRemoteState, password?: string): RemoteEntry => {
    const { passwordSecret: _, passwordHash: __, ...rest } = inputs as PbsRemoteInputs & PbsRemoteState;
    const fingerprint = rest.fingerprint?.toLowerCase();
    return {
      ...rest,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(password === undefined ? {} : { password }),
    };
  };
  const stateOf = (entry: RemoteEntry, inputs: PbsRemoteInputs, password: string): PbsRemoteState => {
    const { password: _, ...rest } = entry;
    const { passwordSecret } = inputs;
    return {
      ...rest,
      ...(passwordSecret === undefined ? {} : { passwordSecret }),
      passwordHash: hashOf(inputs.name, password),
    };
  };
  const setPassword = ({ pbs }: PbsContext, { server, name }: PbsRemoteInputs, password: string) =>
    pbs(server).put<null>(
      `/config/remote/${encodeURIComponent(name)}`,
      { password },
      { doing: `give the remote '${name}' its password` },
    );
  return {
    check: (inputs) => [...section.check(inputs as Partial<RemoteEntry>), ...checkPassword(inputs)],
    diff(olds, news) {
      const { password } = news;
      const { changes, replaces } = section.diff(entryOf(olds), entryOf(news as PbsRemoteInputs));
      const isOther =
        olds.passwordHash === "" || (password !== undefined && hashOf(olds.name, password) !== olds.passwordHash);
      return { changes: changes || isOther || news.passwordSecret !== olds.passwordSecret, replaces };
    },
    async create(context, inputs) {
      const password = passwordOf(context, inputs);
      const isThere = (await section.read(context, "", entryOf(inputs))) !== undefined;
      const { id, outs } = await section.create(context, entryOf(inputs, password));
      if (isThere) await setPassword(context, inputs, password);
      return { id, outs: stateOf(outs, inputs, password) };
    },
    async read(context, id, props) {
      const found = await section.read(context, id, entryOf(props));
      if (found === undefined) return undefined;
      const { passwordSecret, passwordHash } = props;
      if (passwordSecret === undefined) return { ...found, passwordHash };
      const isSame = hashOf(props.name, context.secret(passwordSecret)) === passwordHash;
      return { ...found, passwordSecret, passwordHash: isSame ? passwordHash : "" };
    },
    async update(context, id, olds, news) {
      const password = passwordOf(context, news);
      const outs = await section.update(context, id, entryOf(olds), entryOf(news, password));
      if (hashOf(news.name, password) !== olds.passwordHash) await setPassword(context, news, password);
      return stateOf(outs, news, password);
    },
    delete: (context, id, props) => section.delete(context, id, entryOf(props)),
  };
}

/** Enough to notice a change. It is marked secret, too: a weak password could be searched for. */
function hashOf(name: string, password: string): string {
  return createHash("sha256").update(`coldspare remote ${name}\0${password}`).digest("hex").slice(0, 12);
}

function passwordOf(context: PbsContext, { password, passwordSecret }: PbsRemoteInputs): string {
  return passwordSecret === undefined ? (password ?? "") : context.secret(passwordSecret);
}

function checkPassword({ password, passwordSecret, name }: Partial<PbsRemoteInputs>): InputFailure[] {
  if (password === undefined || passwordSecret === undefined || name === undefined) return [];
  return [{ property: "password", reason: "is given beside passwordSecret; give one of the two" }];
}
