import { planSite, type Side, type SiteSpecInput, votersOf } from "../../planning";
import { SshError } from "../../providers/ssh";
import { compareActiveSides, type GuestRow, type VoterRecord } from "../../stacks/active-sides";
import { siteSsh } from "../../stacks/site-ssh";
import { parseRecords, voterRecords } from "../../stacks/voter-records";
import { cleanSite } from "../planning/sites";

const spec = cleanSite() satisfies SiteSpecInput;
const reach = {
  endpoints: {},
  ssh: { hostKeys: { one: ["ssh-ed25519 A"], two: ["ssh-ed25519 B"], vault: ["ssh-ed25519 C"] } },
};
const ids = planSite(spec).guests.wiki!.replica!.standbyIds!;
const mail: GuestRow = { vmid: 101, node: "one", status: "running", tags: "coldspare" };
const wiki: GuestRow = { vmid: 102, node: "two", status: "running", tags: "coldspare" };
const standby: GuestRow = { vmid: ids[1], node: "one", status: "stopped", tags: "coldspare;coldspare-spare" };
const home = [mail, wiki, standby];

function messages(rows: GuestRow[], active: Record<string, Side> = {}, records: Record<string, VoterRecord[]> = {}) {
  const plan = planSite(spec, { active });
  return compareActiveSides(Object.values(plan.guests), rows, records, (guest) => votersOf(plan, guest)).map(
    ({ message }) => message,
  );
}

const off = { status: "stopped" };
const running = { ...standby, status: "running" };
const says = (server: string, epoch: number, ...voters: string[]) => voters.map((voter) => ({ voter, epoch, server }));

test.each<[string, GuestRow[], Record<string, Side>, string[]]>([
  ["everything at home", home, {}, []],
  ["nothing is there yet", [], { mail: "spare", wiki: "spare" }, []],
  [
    "a failover that is recorded",
    [{ ...mail, node: "two" }, { ...wiki, ...off }, running],
    { mail: "spare", wiki: "spare" },
    [],
  ],
  [
    "a machine on its spare",
    [{ ...mail, node: "two" }],
    {},
    ["mail is active on its spare (two), and coldspare:active.mail says primary: guest 101 is on two."],
  ],
  [
    "a machine at home that is recorded away",
    home,
    { mail: "spare" },
    ["mail is active on its primary (one), and coldspare:active.mail says spare: guest 101 is on one."],
  ],
  ["a machine on a server that is neither", [{ ...mail, node: "three" }], {}, []],
  [
    "a standby that runs",
    [mail, { ...wiki, ...off }, running],
    {},
    [
      `wiki is active on its spare (one), and coldspare:active.wiki says primary: its standby, guest ${ids[1]}, runs on one.`,
    ],
  ],
  [
    "a primary that runs again while its standby is recorded as active",
    home,
    { wiki: "spare" },
    [
      "wiki is active on its primary (two), and coldspare:active.wiki says spare: guest 102 runs on two, and none of its standbys does.",
    ],
  ],
  [
    "a standby that a failover has marked, and that is off just now",
    [mail, { ...wiki, ...off }, { ...standby, tags: "coldspare;coldspare-active;coldspare-spare" }],
    {},
    [
      `wiki is active on its spare (one), and coldspare:active.wiki says primary: its standby, guest ${ids[1]} on one, is marked as active.`,
    ],
  ],
  ["both are off: nobody can tell", [mail, { ...wiki, ...off }, standby], { wiki: "spare" }, []],
  ["its server is dead: nobody can tell", [mail, { ...wiki, status: "unknown" }, standby], { wiki: "spare" }, []],
  ["a standby's id that is somebody else's guest", [mail, wiki, { ...running, tags: "" }], {}, []],
])("%s", (_, rows, active, expected) => {
  expect(messages(rows, active)).toEqual(expected);
});

describe("what the voters hold", () => {
  const elsewhere = "mail is active on its spare (two), and coldspare:active.mail says primary: so say one and vault.";
  test.each<[string, Record<string, VoterRecord[]>, Record<string, Side>, string[]]>([
    ["a majority for the recorded side", { mail: says("one", 3, "one", "two") }, {}, []],
    ["a majority for the other side", { mail: says("two", 3, "vault", "one") }, {}, [elsewhere]],
    ["one voter is no majority", { mail: says("two", 3, "vault") }, {}, []],
    ["two different records are no majority", { mail: [...says("two", 3, "vault"), ...says("two", 2, "one")] }, {}, []],
    ["nobody has ever claimed it", { mail: says("one", 0, "one", "two", "vault") }, { wiki: "primary" }, []],
    [
      "a switch is under way",
      { mail: says("-", 5, "two", "vault") },
      {},
      ["A switch of mail has begun and not ended: two and vault let nobody run it meanwhile."],
    ],
  ])("%s", (_, records, active, expected) => {
    expect(messages(home, active, records)).toEqual(expected);
  });

  test("what the hypervisors show comes first", () => {
    const records = { mail: says("one", 3, "one", "two", "vault") };
    expect(messages([{ ...mail, node: "two" }, wiki], {}, records)).toHaveLength(1);
    expect(messages([{ ...mail, node: "two" }, wiki], { mail: "spare" }, records)).toEqual([
      "mail is active on its primary (one), and coldspare:active.mail says spare: so say one and two and vault.",
    ]);
  });

  test("of a guest that does not exist yet they say nothing", () => {
    expect(messages([], {}, { mail: says("two", 3, "one", "vault") })).toEqual([]);
  });
});

describe("reading them", () => {
  const answer =
    "mail ok epoch=3 server=two by=failover-1 grants=4 hold=0 holder=-\nwiki ok epoch=0 server=two fresh=1\nold refused reason=unknown\nend\n";

  test("lines of an answer; what is fresh or refused is none", () => {
    expect(parseRecords("vault", answer)).toEqual([{ guest: "mail", voter: "vault", epoch: 3, server: "two" }]);
    expect(parseRecords("vault", answer.replace("end\n", ""))).toEqual([]);
    expect(parseRecords("vault", "")).toEqual([]);
  });

  test("each voter is asked for its guests at once; one that is away, or has no guard, costs nothing", async () => {
    const plan = planSite(spec);
    const commands: string[] = [];
    let closed = 0;
    const connection = siteSsh(plan, reach, (targets) => ({
      async run(server, argv) {
        commands.push(`${targets[server]?.host}: ${argv.join(" ")}`);
        if (server === "two") throw new SshError("two", "unreachable", "nobody answers", "look for it");
        return server === "one"
          ? { code: 127, stdout: "", stderr: "not found" }
          : { code: 0, stdout: answer, stderr: "" };
      },
      async close() {
        closed += 1;
      },
    }))!;
    const found = await voterRecords(plan, connection)(Object.values(plan.guests));
    await connection.close();
    expect(found).toEqual({ mail: [{ voter: "vault", epoch: 3, server: "two" }] });
    const program = "/usr/local/sbin/coldspare-node serve read mail wiki";
    expect(commands.sort()).toEqual([`10.0.1.1: ${program}`, `10.0.1.2: ${program}`, `10.0.1.3: ${program}`]);
    expect(closed).toBe(1);
  });

  test("without host keys nobody is asked", () => {
    expect(siteSsh(planSite(spec), { endpoints: {} })).toBeUndefined();
    expect(siteSsh(planSite(spec), { endpoints: {}, ssh: { hostKeys: {} } })).toBeUndefined();
  });
});
