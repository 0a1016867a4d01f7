/** The life of an API token of a backup server. Its secret is shown once, when it is made; see `PbsToken`. */
import type { Handler, PbsContext } from "../serve";
import { PbsError } from "./errors";
import { checkTokenName, checkUser } from "./names";

/** Inputs of a token. */
export interface PbsTokenInputs {
  server: string;
  userId: string;
  tokenName: string;
  enable?: boolean;
  expire?: number;
  comment?: string;
  regenerate?: string;
}

/** What is recorded. The engine encrypts `secret`. */
export interface PbsTokenState extends PbsTokenInputs {
  /** `user@realm!name`. */
  tokenId: string;
  secret: string;
}

interface TokenRow {
  tokenid?: string;
  enable?: boolean | number;
  expire?: number;
  comment?: string;
}

/** The handler. */
export function tokenHandler(): Handler<PbsTokenInputs, PbsTokenState, PbsContext> {
  return {
    check: ({ userId, tokenName }) => [...checkUser("userId", userId), ...checkTokenName("tokenName", tokenName)],
    diff(olds, news) {
      const wanted = { ...olds, ...news };
      const replaces = (["server", "userId", "tokenName"] as const).filter((key) => wanted[key] !== olds[key]);
      const changes = differsIn(news, olds) || news.regenerate !== olds.regenerate || olds.secret === "";
      return { changes: changes || replaces.length > 0, replaces };
    },
    async create(context, inputs) {
      const there = await find(context, inputs);
      if (there === undefined) return { id: idOf(inputs), outs: await make(context, inputs) };
      if (inputs.regenerate === undefined) throw shownOnce(context, inputs);
      if (differsIn(inputs, there)) await change(context, inputs);
      return { id: idOf(inputs), outs: stateOf(inputs, await regenerate(context, inputs)) };
    },
    async read(context, _id, props) {
      const there = await find(context, props);
      if (there === undefined) return undefined;
      if (!differsIn(props, there)) return props;
      const { enable: _, expire: __, ...rest } = props;
      return { ...rest, enable: isEnabled(there), expire: there.expire ?? 0 };
    },
    async update(context, _id, olds, news) {
      const there = await find(context, news);
      if (there === undefined) return make(context, news);
      if (differsIn(news, there)) await change(context, news);
      const isAsked = news.regenerate !== undefined && news.regenerate !== olds.regenerate;
      return stateOf(news, isAsked || olds.secret === "" ? await regenerate(context, news) : olds.secret);
    },
    async delete(context, _id, props) {
      try {
        await context.pbs(props.server).delete(pathOf(props), {}, { doing: `remove the token '${tokenIdOf(props)}'` });
      } catch (error) {
        if (!(error instanceof PbsError && error.isMissing)) throw error;
      }
    },
  };
}

async function find({ pbs }: PbsContext, inputs: PbsTokenInputs): Promise<TokenRow | undefined> {
  try {
    return await pbs(inputs.server).get<TokenRow>(
      pathOf(inputs),
      {},
      { doing: `look at the token '${tokenIdOf(inputs)}'` },
    );
  } catch (error) {
    if (error instanceof PbsError && error.isMissing) return undefined;
    throw error;
  }
}

async function make({ pbs }: PbsContext, inputs: PbsTokenInputs): Promise<PbsTokenState> {
  const about = { doing: `make the token '${tokenIdOf(inputs)}'` };
  const made = await pbs(inputs.server).post<{ value: string }>(pathOf(inputs), settingsOf(inputs), about);
  return stateOf(inputs, made.value);
}

async function change({ pbs }: PbsContext, inputs: PbsTokenInputs): Promise<void> {
  const settings = { ...settingsOf(inputs), enable: inputs.enable ?? true, expire: inputs.expire ?? 0 };
  await pbs(inputs.server).put(pathOf(inputs), settings, { doing: `change the token '${tokenIdOf(inputs)}'` });
}

/** Whoever uses the old secret loses access with this. */
async function regenerate({ pbs }: PbsContext, inputs: PbsTokenInputs): Promise<string> {
  const client = pbs(inputs.server);
  const doing = `give the token '${tokenIdOf(inputs)}' a new secret`;
  const { secret } =
    (await client.put<{ secret?: string } | null>(pathOf(inputs), { regenerate: true }, { doing })) ?? {};
  if (secret) return secret;
  const byHand = `proxmox-backup-manager user delete-token ${inputs.userId} ${inputs.tokenName}`;
  throw client.refusal(
    doing,
    `PUT ${pathOf(inputs)}`,
    "the server did not answer with one",
    `this release of the backup server cannot do it; remove the token (\`${byHand}\`) and run this again`,
  );
}

function shownOnce({ pbs }: PbsContext, inputs: PbsTokenInputs): PbsError {
  return pbs(inputs.server).refusal(
    `make the token '${tokenIdOf(inputs)}'`,
    `POST ${pathOf(inputs)}`,
    "it exists, and its secret is shown only once, when a token is made",
    "say `regenerate: '<any word>'` to give it a new secret (whoever uses the old one loses access), or choose another name",
  );
}

function differsIn(wanted: Partial<PbsTokenInputs>, there: TokenRow): boolean {
  const isCommented = wanted.comment !== undefined && wanted.comment !== there.comment;
  return isCommented || (wanted.enable ?? true) !== isEnabled(there) || (wanted.expire ?? 0) !== (there.expire ?? 0);
}

function isEnabled({ enable = true }: TokenRow): boolean {
  return enable === true || enable === 1;
}

function settingsOf({ enable, expire, comment }: PbsTokenInputs) {
  return { enable, expire, comment };
}

function stateOf(inputs: PbsTokenInputs, secret: string): PbsTokenState {
  return { ...inputs, tokenId: tokenIdOf(inputs), secret };
}

function idOf(inputs: PbsTokenInputs): string {
  return `${inputs.server}/${tokenIdOf(inputs)}`;
}

function tokenIdOf({ userId, tokenName }: PbsTokenInputs): string {
  return `${userId}!${tokenName}`;
}

function pathOf({ userId, tokenName }: PbsTokenInputs): string {
  return `/access/users/${encodeURIComponent(userId)}/token/${encodeURIComponent(tokenName)}`;
}
