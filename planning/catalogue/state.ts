/** Findings about where the state, its key and the specification are kept. */
import type { CatalogueEntry } from "./types";

export const stateFindings = {
  "STATE-ON-SITE": {
    severity: "warning",
    title: "The state lies on the site that it describes",
    explanation:
      "The state is what `pulumi` remembers of what it built. On a server, a guest, a device or a storage of the site itself it is lost together with what it describes, and cannot be reached while that is down. The commands of a bad day do not need it, building anew does.",
    example:
      "The state of office (s3://state?endpoint=https://10.0.1.3:9000) lies on vault, a server of office: what takes the site takes its state.",
    fix: "Move it elsewhere (docs/state.md says how). `coldspare import` and `coldspare adopt` rebuild a state that was lost.",
  },
  "STATE-KEY-ON-SITE": {
    severity: "warning",
    title: "The key to the secrets lies on the site",
    explanation:
      "The passphrase of the stack opens the secrets in its state and its settings, and nothing else does. A password manager that is a guest of the site is not there when the site is not.",
    example:
      "The key to the secrets of office is kept on wiki, a guest of office: without it nobody opens them, nor the state.",
    fix: "Keep a copy elsewhere, on paper in a safe at best.",
  },
  "SPECIFICATION-ON-SITE": {
    severity: "warning",
    title: "Every copy of the specification lies on the site",
    explanation:
      "The specification is the plan that the site is built from. When each of its copies is on a server, a guest or a device of the site, the plan is lost with what it plans.",
    example:
      "The specification of office lies nowhere but on wiki, a guest of office and vault, a server of office: what takes the site takes the plan to build it again.",
    fix: "Push the repository to a host elsewhere as well.",
  },
  "STATE-PLACE-UNKNOWN": {
    severity: "info",
    title: "Nothing says where the state, its key or the specification is kept",
    explanation:
      "The section `state` of the site says where they lie, so that it can be seen whether they would be lost with the site. Said at `pulumi preview`, and by `coldspare check` where the section is there and a part of it is missing.",
    example:
      "office does not say where the key to its secrets or a copy of its specification is kept: nothing says whether that would be lost with the site.",
    fix: "Add what is missing to the section `state`.",
  },
} as const satisfies Record<string, CatalogueEntry>;
