/** The life of a standby guest: plain functions over the client. See {@link StandbyGuest} for what it promises. */
import { createHash } from "node:crypto";
import { destroyStandby, label, refreshStandby } from "./restore-refresh";
import {
  type Difference,
  type Handler,
  type HandlerContext,
  type InputFailure,
  PartlyInitialised,
  serve,
} from "./serve";
import { ageWarning } from "./standby-age";
import {
  disksOf,
  type FoundStandby,
  findStandbys,
  newestOf,
  normalTags,
  notesWithout,
  refuseRunning,
  type StandbyIdentity,
  type StandbySpec,
  standbyName,
  startupOf,
} from "./standby-inspect";
import { refuseStarted } from "./standby-started";

/** Inputs, all known. */
export interface StandbyGuestInputs extends StandbySpec {
  refreshToken?: string;
  active?: boolean;
}

/**
 * What is recorded: what tells the standby from others and what it was made to be, without what may be long (the notes are
 * there as a digest) or does not matter to it once it is made (where the backups come from).
 */
export interface StandbyGuestState extends StandbyIdentity {
  storage: string;
  notesDigest: string;
  bootOrder?: number;
  bootDelaySeconds?: number;
  promisedSeconds?: number;
  refreshToken?: string;
  standbyId?: number;
  recoveryPoint?: string;
  volid?: string;
  /** The standby is the active side, as the program says: it is only looked at. */
  active?: boolean;
  /** What differs on the server from what was set up; absent when nothing does. */
  drift?: string;
}

/** The handler. */
export const standbyGuestHandler: Handler<StandbyGuestInputs, StandbyGuestState> = {
  check,
  diff,
  async create(context, inputs) {
    const found = await findStandbys(context.pve, inputs);
    const id = `${inputs.vmid}-standby`;
    const newest = newestOf(found.filter((each) => each.node === inputs.node));
    if (!newest) return { id, outs: await refresh(context, id, inputs, undefined) };
    refuseRunning(found, inputs, "take over the standby of");
    const { vmid, node, recovery } = newest;
    context.progress(`'${inputs.guest}': ${vmid} on ${node} is a standby already, as of ${recovery!.time}: taken over`);
    return { id, outs: await mend(context, inputs, inputs.refreshToken, found) };
  },
  async read({ pve, progress }, _id, props) {
    const found = (await findStandbys(pve, props)).filter((each) => each.ours);
    if (found.length === 0) return undefined;
    const newest = newestOf(found);
    if (props.active) return recorded(props, newest);
    const warning = await ageWarning(pve, props, newest);
    if (warning !== undefined) progress(warning);
    return recorded(props, newest, driftOf(props, found));
  },
  async update(context, id, olds, news) {
    if (news.active) {
      context.progress(`'${news.guest}': the standby is the active side and is left alone`);
      const { drift: _, ...kept } = olds;
      return { ...kept, active: true };
    }
    const former = { ids: olds.standbyIds, tags: olds.tags };
    const found = await findStandbys(context.pve, news, former);
    refuseRunning(found, news, "change the standby of");
    const wanted = (each: FoundStandby) => each.node === news.node && news.standbyIds.includes(each.vmid);
    for (const each of found) {
      if (!wanted(each) && each.expendable) await refuseStarted(context.pve, each, news, "change the standby of");
    }
    const inPlace = found.filter(wanted);
    const outs = mustRestore(olds, news, newestOf(inPlace))
      ? await refresh(context, id, news, olds)
      : await mend(context, news, news.refreshToken ?? olds.refreshToken, inPlace);
    // Standbys under ids or on a server that are no longer wanted go last, when their successor is good.
    for (const each of await findStandbys(context.pve, news, former)) {
      if (!wanted(each) && each.expendable) await destroyStandby(context.pve, each, news, context.progress);
    }
    return outs;
  },
  async delete(context, _id, props) {
    if (props.active) {
      context.progress(`'${props.guest}': the standby is the active side and stays; only its record goes`);
      return;
    }
    const found = await findStandbys(context.pve, props);
    refuseRunning(
      found.filter((each) => each.ours),
      props,
      "destroy the standby of",
    );
    for (const each of found) {
      if (each.expendable) await destroyStandby(context.pve, each, props, context.progress);
      else
        context.progress(
          `'${props.guest}': ${each.vmid} on ${each.node} ('${each.name}') lacks the standby's tags and is left alone`,
        );
    }
  },
};

/** What the engine loads. */
export const provider = serve(standbyGuestHandler);

function check(inputs: Partial<StandbyGuestInputs>): InputFailure[] {
  const failures: InputFailure[] = [];
  const { vmid, standbyIds, tags, bootOrder, bootDelaySeconds } = inputs;
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 100 && (id as number) <= 999_999_999;
  if (vmid !== undefined && !isId(vmid)) {
    failures.push({ property: "vmid", reason: `${vmid} is no guest id; write a number from 100 to 999999999` });
  }
  if (standbyIds !== undefined) {
    const [first, second] = standbyIds;
    const distinct = new Set([vmid, first, second]).size === 3;
    if (standbyIds.length !== 2 || !isId(first) || !isId(second) || !distinct) {
      const reason = `[${standbyIds.join(", ")}] are not two guest ids of their own; write two numbers from 100 on, other than the guest's ${vmid ?? "id"}`;
      failures.push({ property: "standbyIds", reason });
    }
  }
  if (tags !== undefined && normalTags(tags).length === 0) {
    failures.push({ property: "tags", reason: "is empty; a standby is known by its tags, write at least one" });
  }
  if (bootDelaySeconds !== undefined && bootOrder === undefined) {
    failures.push({ property: "bootDelaySeconds", reason: "has no effect without bootOrder; write both" });
  }
  return failures;
}

const COMPARED = ["guest", "node", "storage", "bootOrder", "bootDelaySeconds"] as const;

function diff(olds: StandbyGuestState, news: Partial<StandbyGuestInputs>): Difference {
  if (olds.active && news.active) return { changes: false, replaces: [] };
  const wanted: StandbyGuestState & { notes?: string } = { ...olds, ...news };
  const replaces = (["vmid", "kind"] as const).filter((key) => wanted[key] !== olds[key]);
  const changes =
    replaces.length > 0 ||
    olds.drift !== undefined ||
    olds.standbyId === undefined ||
    (olds.active ?? false) !== (news.active ?? false) ||
    // A promise that is no longer given counts as withdrawn, but only when the inputs are given at all.
    ("guest" in news ? news.promisedSeconds : olds.promisedSeconds) !== olds.promisedSeconds ||
    wanted.refreshToken !== olds.refreshToken ||
    COMPARED.some((key) => wanted[key] !== olds[key]) ||
    wanted.standbyIds.join() !== olds.standbyIds.join() ||
    normalTags(wanted.tags).join() !== normalTags(olds.tags).join() ||
    (wanted.notes !== undefined && digestOf(wanted.notes) !== olds.notesDigest);
  return { changes, replaces };
}

function mustRestore(olds: StandbyGuestState, news: StandbyGuestInputs, newest: FoundStandby | undefined): boolean {
  if (newest === undefined || olds.drift?.includes(GONE)) return true;
  const asked = news.refreshToken !== undefined && news.refreshToken !== olds.refreshToken;
  return asked || disksOf(newest.config).some((volume) => !volume.startsWith(`${news.storage}:`));
}

/** Restores, and records what there is when that fails. */
async function refresh(
  { pve, progress }: HandlerContext,
  id: string,
  news: StandbyGuestInputs,
  olds: StandbyGuestState | undefined,
): Promise<StandbyGuestState> {
  let touched = false;
  try {
    const { standbyId, recoveryPoint, volid } = await refreshStandby(pve, news, {
      progress,
      ...(olds === undefined ? {} : { formerTags: olds.tags }),
      onTouched: () => {
        touched = true;
      },
    });
    return await mend(
      { pve, progress },
      news,
      news.refreshToken,
      await findStandbys(pve, news, olds && { tags: olds.tags }),
      {
        standbyId,
        recoveryPoint,
        volid,
      },
    );
  } catch (error) {
    if (olds === undefined && !touched) throw error;
    const left = await findStandbys(pve, news).catch(() => undefined);
    if (olds === undefined && left?.every((each) => !each.ours && !each.expendable)) throw error;
    const newest = newestOf(left ?? []);
    // The old token stays recorded, so that the next run tries again.
    throw new PartlyInitialised(id, stateOf(news, olds?.refreshToken, newest), [(error as Error).message]);
  }
}

/** Labels what is there as it should be: the newest standby and, for the day of its turn, the other. */
async function mend(
  { pve }: Pick<HandlerContext, "pve" | "progress">,
  inputs: StandbyGuestInputs,
  refreshToken: string | undefined,
  found: readonly FoundStandby[],
  known?: Pick<StandbyGuestState, "standbyId" | "recoveryPoint" | "volid">,
): Promise<StandbyGuestState> {
  const mine = found.filter((each) => each.ours && each.node === inputs.node && inputs.standbyIds.includes(each.vmid));
  for (const each of mine) {
    if (differences(stateOf(inputs, undefined, undefined), each).length > 0)
      await label(pve, inputs, each, each.recovery);
  }
  return { ...stateOf(inputs, refreshToken, newestOf(mine)), ...known };
}

function stateOf(
  inputs: StandbyGuestInputs,
  refreshToken: string | undefined,
  newest: FoundStandby | undefined,
): StandbyGuestState {
  const { notes, backupStorage: _, source: __, refreshToken: ___, ...kept } = inputs;
  const token = refreshToken === undefined ? {} : { refreshToken };
  return recorded({ ...kept, notesDigest: digestOf(notes), ...token }, newest);
}

/** The state with the newest standby in it as it is now. */
function recorded(state: StandbyGuestState, newest: FoundStandby | undefined, drift?: string): StandbyGuestState {
  const { standbyId: _, recoveryPoint: __, volid: ___, drift: ____, ...kept } = state;
  return {
    ...kept,
    ...(newest === undefined
      ? {}
      : { standbyId: newest.vmid, recoveryPoint: newest.recovery!.time, volid: newest.recovery!.volid }),
    ...(drift === undefined ? {} : { drift }),
  };
}

/** Enough of a digest to see that notes were changed. */
function digestOf(notes: string): string {
  return createHash("sha256").update(notes.trimEnd()).digest("hex").slice(0, 12);
}

const GONE = "is gone";

/** What others changed, in words; `undefined` when nothing. */
function driftOf(props: StandbyGuestState, found: readonly FoundStandby[]): string | undefined {
  const words = found.flatMap((each) => differences(props, each).map((what) => `${each.vmid}: ${what}`));
  if (props.standbyId !== undefined && !found.some((each) => each.vmid === props.standbyId)) {
    words.unshift(`${props.standbyId} ${GONE}`);
  }
  return words.length === 0 ? undefined : words.join("; ");
}

/** How a standby differs from what is wanted, in words. */
function differences(wanted: StandbyGuestState, { config, running, name, node, recovery }: FoundStandby): string[] {
  const startup = startupOf(wanted);
  const tags = normalTags(config.tags).join(", ");
  return [
    ...(running ? [`runs on ${node}`] : []),
    ...(name === standbyName(wanted.guest) ? [] : [`is called '${name}'`]),
    ...(tags === normalTags(wanted.tags).join(", ") ? [] : [`tags are ${tags || "none"}`]),
    ...(recovery !== undefined && digestOf(notesWithout(config.description)) !== wanted.notesDigest
      ? ["notes differ"]
      : []),
    ...(Number(config.onboot ?? 0) === 1 ? ["onboot is on"] : []),
    ...(startup === undefined || config.startup === startup ? [] : [`start order is ${config.startup ?? "none"}`]),
  ];
}
