import { painter, renderTable, wrapText } from "../../cli/table";

const plain = painter(false);

describe("tables", () => {
  test("columns are as wide as their content, numbers stand right", () => {
    const columns = [{ title: "guest" }, { title: "cores", align: "right" as const }];
    expect(
      renderTable(
        columns,
        [
          ["dc-1", "2"],
          ["remote-app", "12"],
        ],
        80,
        plain,
      ),
    ).toEqual(["guest       cores", "----------  -----", "dc-1            2", "remote-app     12"]);
  });

  test("only columns that may wrap give way, the widest first", () => {
    const columns = [{ title: "server" }, { title: "runs", wrap: true }];
    expect(renderTable(columns, [["srv1", "dc-1, files-1, remote-app"]], 24, plain)).toEqual([
      "server  runs",
      "------  ----------------",
      "srv1    dc-1, files-1,",
      "        remote-app",
    ]);
  });

  test("colours do not count as width", () => {
    const cell = { text: "NO", style: "red" as const };
    const [, , row] = renderTable([{ title: "fits" }, { title: "on" }], [[cell, "srv1"]], 80, painter(true));
    expect(row).toBe("\u001b[31mNO  \u001b[39m  srv1");
  });

  test("a row may lack cells, a table may lack rows", () => {
    expect(renderTable([{ title: "a" }, { title: "b" }], [["1"]], 80, plain).at(-1)).toBe("1");
    expect(renderTable([{ title: "a" }], [], 80, plain)).toEqual(["a", "-"]);
  });

  test("a word that is longer than the line stays whole", () => {
    expect(wrapText("see fd00:20:aaaa:bbbb::10 there", 10)).toEqual(["see", "fd00:20:aaaa:bbbb::10", "there"]);
  });
});
