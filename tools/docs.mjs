// `npm run docs`: writes the pages that are made from the code. A test fails when one of them is stale.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { renderFindings } = require(join(checkout, "dist/planning/index.js"));
const { operationFindings } = require(join(checkout, "dist/operations/refusals.js"));

writeFileSync(join(checkout, "docs/findings.md"), renderFindings({ "Commands that move guests": operationFindings }));
