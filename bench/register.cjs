/** Lets `node --require` run the TypeScript of bench/ as it stands, without a build: types are stripped by swc. */
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { transformSync } = require("@swc/core");

Module._extensions[".ts"] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, "utf8"), {
    filename,
    jsc: { parser: { syntax: "typescript" }, target: "es2022" },
    module: { type: "commonjs", ignoreDynamic: true },
    sourceMaps: "inline",
    swcrc: false,
  });
  module._compile(code, filename);
};
