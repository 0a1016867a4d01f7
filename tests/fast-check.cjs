// Stands before fast-check in every test (jest.config.cjs). In continuous integration each run tries the same values: what fails
// there can be run again, and is about the change. Everywhere else, and with COLDSPARE_SEED=random, each run tries new ones.
const path = require("node:path");

// By its path: its own name leads here.
const fc = require(path.join(__dirname, "../node_modules/fast-check/lib/cjs/fast-check.js"));

const { CI, COLDSPARE_SEED: seed = ["true", "1"].includes(CI) ? "1" : "random" } = process.env;
if (seed !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });

module.exports = fc;
