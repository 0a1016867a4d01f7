/** `npm run docs`: writes the pages that are made from the code. A test fails when one of them is stale. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renderedPages } from "./reference/pages";

const checkout = dirname(__dirname);

renderedPages(checkout).then((pages) => {
  for (const [path, text] of Object.entries(pages)) {
    mkdirSync(dirname(join(checkout, path)), { recursive: true });
    writeFileSync(join(checkout, path), text);
  }
});
