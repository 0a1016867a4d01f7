/** 3-2-1-1-0, line by line: one finding for each line that some subjects miss. */
import type { CopiesPlan } from "../backup/plan";
import type { Context } from "../context";
import type { FindingCode } from "../findings";
import type { SitePlan } from "../plan";
import { list } from "../units";

interface Line {
  code: FindingCode;
  met: (copies: CopiesPlan) => boolean;
  message: (who: string, many: boolean, missing: readonly CopiesPlan[]) => string;
  fix: string;
}

const LINES: readonly Line[] = [
  {
    code: "COPIES-FEW",
    met: ({ three }) => three,
    message: (who, many) => `${who} ${many ? "have" : "has"} fewer than three copies, production counted.`,
    fix: "Add a second target, a synchronised copy or rotated media.",
  },
  {
    code: "COPIES-ONE-MEDIUM",
    met: ({ two }) => two,
    message: (who, many, missing) =>
      `${who} ${many ? "have" : "has"} copies on one kind of medium only (${list(mediaIn(missing), "or")}).`,
    fix: "Add rotated disks, a bucket or tapes; targets.<name>.media says what a target is.",
  },
  {
    code: "COPIES-ONE-PLACE",
    met: ({ one }) => one,
    message: (who, many) => `${who} ${many ? "have" : "has"} no copy in another place than production.`,
    fix: "Carry a set of media out of the building (offSite: true), or add a target elsewhere; say with `location` where servers and targets are.",
  },
  {
    code: "COPIES-ALL-ON-LINE",
    met: ({ offlineOrImmutable }) => offlineOrImmutable,
    message: (who, many) => `${who} ${many ? "have" : "has"} no copy that is off line or immutable.`,
    fix: "Add rotated media, or a target that takes additions only (appendOnly, immutableFor).",
  },
  {
    code: "COPIES-UNVERIFIED",
    met: ({ zero }) => zero,
    message: (who) => `No copy of ${who} is ever verified.`,
    fix: "Set verify.reread or verify.testRestore of their policies.",
  },
];

const SHOWN = 8;

/** Checks what is backed up at all; guests without any backup are a finding already. */
export function checkCopies(context: Context, { backups }: SitePlan): void {
  for (const { code, met, message, fix } of LINES) {
    const missing = Object.values(backups.copies).filter((copies) => !met(copies));
    if (missing.length === 0) continue;
    const subjects = missing.map(({ subject }) => subject);
    const shown = subjects.length > SHOWN ? [...subjects.slice(0, SHOWN), `${subjects.length - SHOWN} more`] : subjects;
    context.add(code, "backups", message(list(shown), subjects.length > 1, missing), fix);
  }
}

function mediaIn(missing: readonly CopiesPlan[]): string[] {
  return [...new Set(missing.flatMap(({ copies }) => copies.map(({ media }) => media)))].sort();
}
