import { goOnWith } from "../../operations/run-operation";

test.each([
  ["failover", "srv2", { planned: false }, "coldspare failover srv2 --resume"],
  ["failover", "srv2", { planned: true }, "coldspare failover srv2 --planned --resume"],
  ["undo", "sql-erp", {}, "coldspare undo sql-erp --resume"],
  ["failback", "sql-erp+dc-1", {}, "coldspare failback sql-erp dc-1"],
  ["maintenance", "srv2", {}, "coldspare maintenance srv2"],
  ["shutdown", "smb", {}, "coldspare shutdown"],
])("an open %s of %s is gone on with by a command that there is", (kind, subject, plan, command) => {
  expect(goOnWith({ kind, subject, plan })).toBe(command);
});
