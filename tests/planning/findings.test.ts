import { readFileSync } from "node:fs";
import { join } from "node:path";
import { operationFindings } from "../../operations/refusals";
import {
  activeMismatch,
  adoptedGone,
  containerElsewhere,
  FindingCatalogue,
  type FindingCode,
  guestIdTaken,
  makeFinding,
  OverrideError,
  orderFindings,
  overrideSite,
  planGuestAlone,
  renderFindings,
  serverNoEndpoint,
  serverUnreachable,
  unguarded,
} from "../../planning";
import { liveFindings } from "../../planning/adoption/live-catalogue";
import { rows } from "./finding-rows";
import { cleanSite, planWith } from "./sites";

/** Findings that no specification brings, and how they come about. */
const elsewhere: Partial<Record<FindingCode, () => string>> = {
  "SPEC-OVERRIDE": () => {
    try {
      overrideSite(cleanSite(), ["guests.mail.cores.count=2"]);
    } catch (error) {
      if (error instanceof OverrideError) return error.finding.message;
    }
    return "nothing was refused";
  },
  "SERVER-NO-ENDPOINT": () => serverNoEndpoint("two").message,
  "SITE-UNREACHABLE": () => serverUnreachable("one", ["mail", "wiki"]).message,
  "GUEST-ID-TAKEN": () =>
    guestIdTaken({ name: "mail", id: 101 }, { name: "old-files", kind: "vm", server: "two" }).message,
  "ADOPTED-GUEST-GONE": () => adoptedGone("mail", 101).message,
  "CONTAINER-ELSEWHERE": () => containerElsewhere("mail", 101, "two", "one").message,
  "GUARD-NO-SSH": () => unguarded("confirm", ["one", "vault"])!.message,
  "LEASE-NO-SSH": () => unguarded("lease", ["vault"])!.message,
  "ACTIVE-MISMATCH": () =>
    activeMismatch("mail", "primary", { side: "spare", server: "two", because: "guest 101 is on two" }).message,
  "SITE-PARTIAL": () => {
    const mail = cleanSite().guests!.mail!;
    const { findings } = planGuestAlone("mail", { ...mail, networks: [] });
    return findings.find(({ code }) => code === "SITE-PARTIAL")!.message;
  },
};

test("the site that every row changes has no finding", () => {
  expect(planWith(cleanSite()).findings).toEqual([]);
});

describe("each finding, word for word", () => {
  test.each(rows)("$code: $message", ({ code, set, options, subject, message }) => {
    const { findings, ok } = planWith(cleanSite(), set, options);
    const { severity } = FindingCatalogue[code];
    const fix = expect.stringMatching(/^[A-Z'].{10,}[.]$/s);
    expect(findings).toContainEqual({ code, severity, subject, message, fix });
    expect(ok).toBe(findings.every((finding) => finding.severity !== "error"));
    if (severity === "error") expect(ok).toBe(false);
  });
});

describe("the catalogue", () => {
  const codes = Object.keys(FindingCatalogue) as FindingCode[];

  test("each code has a row here, and no row has a code that is not in it", () => {
    const tested = new Set([...rows.map(({ code }) => code), ...Object.keys(elsewhere)]);
    expect([...tested].sort()).toEqual([...codes].sort());
  });

  test.each(codes)("the example of %s is a real message", (code) => {
    const real = elsewhere[code]?.() ?? rows.find((row) => row.code === code)?.message;
    expect(FindingCatalogue[code].example).toBe(real);
  });

  test("no other code is ever reported", () => {
    const reported = rows.flatMap(({ set, options }) =>
      planWith(cleanSite(), set, options).findings.map(({ code }) => code),
    );
    for (const code of new Set(reported)) expect(codes).toContain(code);
  });

  test("docs/findings.md is current: npm run docs", () => {
    const page = readFileSync(join(__dirname, "../../docs/findings.md"), "utf8");
    expect(page).toBe(
      renderFindings({ "A running cluster": liveFindings, "Commands that move guests": operationFindings }),
    );
  });
});

test("errors come first, then warnings, by subject; nothing twice", () => {
  const one = makeFinding("GUEST-NO-SPARE", "guests.b", "m", "f");
  const other = makeFinding("GUEST-NO-BACKUP", "guests.a", "m", "f");
  const error = makeFinding("RPO-BROKEN", "guests.c", "m", "f");
  const note = makeFinding("BACKUP-SAME-LOCATION", "a", "m", "f");
  expect(orderFindings([note, one, error, other, { ...one }])).toEqual([error, other, one, note]);
});
