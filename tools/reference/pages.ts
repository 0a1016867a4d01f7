/** Every page that is made from the code, by its path. */
import { operationFindings } from "../../operations/refusals";
import { renderFindings } from "../../planning";
import { liveFindings } from "../../planning/adoption/live-catalogue";
import { renderPrivileges } from "../../planning/privileges";
import { renderCommands } from "./commands";
import { renderLibrary } from "./library";
import { renderSpecification } from "./specification";

export async function renderedPages(checkout: string): Promise<Record<string, string>> {
  return {
    "docs/findings.md": renderFindings({
      "A running cluster": liveFindings,
      "Commands that move guests": operationFindings,
    }),
    "docs/privileges.md": renderPrivileges(),
    "docs/reference/specification.md": renderSpecification(),
    "docs/reference/commands.md": await renderCommands(),
    "docs/reference/library.md": renderLibrary(checkout),
  };
}
