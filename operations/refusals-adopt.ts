/** What `coldspare adopt` can report: docs/findings.md is made of it. */
import type { CatalogueEntry } from "../planning";

export const adoptFindings = {
  "OPERATION-ADOPT-CHANGES": {
    severity: "error",
    title: "The site file says something else than the hypervisor",
    explanation:
      "Taking over changes nothing that exists. Where the site file and the hypervisor differ, the import would be followed by an update " +
      "of a guest that runs: so it is not begun.",
    example: "web-vm differs at memory.dedicated: 4096 on the hypervisor, 8192 in the site file",
    fix: "Write into the site file what is there, take it over, and change it afterwards.",
  },
  "OPERATION-ADOPT-DESTROYS": {
    severity: "error",
    title: "Taking over would delete or replace something",
    explanation:
      "Something is in the state that the site file no longer has, or has otherwise than the provider can change in place.",
    example: "taking over would delete old-vm",
    fix: "Put it back into the site file, or take it out of the state: `pulumi state delete <urn>`.",
  },
  "OPERATION-ADOPT-UNREADABLE": {
    severity: "error",
    title: "What taking over would do could not be read",
    explanation: "`coldspare adopt` reads a preview before it runs anything. A preview that fails proves nothing.",
    example: "what taking over would do could not be read, so it was not run: error: no stack selected",
    fix: "Mend what it says, then run `coldspare adopt` again.",
  },
  "OPERATION-ADOPT-INCOMPLETE": {
    severity: "error",
    title: "After taking over, the preview still shows a change",
    explanation:
      "Everything that exists is in the state now and nothing was changed, but the program still differs from it. The next `pulumi up` would " +
      "make that change.",
    example: "web-vm still differs at cpu.type",
    fix: "Look at `pulumi preview --diff`, and change the site file until it shows nothing.",
  },
} as const satisfies Record<string, CatalogueEntry>;
