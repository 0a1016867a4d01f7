// 'unit' needs no Pulumi engine and ends in seconds; 'guard' runs the servers' own programs (Perl);
// 'engine' drives the real engine and plugins; 'hosts' makes real hosts in
// network namespaces, which takes Linux and root.
const common = {
  testEnvironment: "node",
  transform: {
    "\\.ts$": [
      "@swc/jest",
      {
        jsc: { parser: { syntax: "typescript" }, target: "es2022" },
        module: { type: "commonjs" },
        sourceMaps: "inline",
      },
    ],
  },
  moduleFileExtensions: ["ts", "js", "json", "node"],
  modulePathIgnorePatterns: ["<rootDir>/dist"],
  moduleNameMapper: { "^fast-check$": "<rootDir>/tests/fast-check.cjs" },
};
module.exports = {
  maxWorkers: "100%",
  // Seconds are no claim of any test: a busy machine must not fail one.
  testTimeout: 60_000,
  projects: [
    {
      ...common,
      displayName: "unit",
      testMatch: ["<rootDir>/tests/**/*.test.ts"],
      testPathIgnorePatterns: [
        "<rootDir>/tests/engine/",
        "<rootDir>/tests/hosts/",
        "<rootDir>/tests/guard/",
        "<rootDir>/tests/backup/",
      ],
    },
    { ...common, displayName: "engine", testMatch: ["<rootDir>/tests/engine/**/*.test.ts"] },
    { ...common, displayName: "guard", testMatch: ["<rootDir>/tests/guard/**/*.test.ts"] },
    { ...common, displayName: "backup", testMatch: ["<rootDir>/tests/backup/**/*.test.ts"] },
    { ...common, displayName: "hosts", testMatch: ["<rootDir>/tests/hosts/**/*.test.ts"] },
  ],
};
