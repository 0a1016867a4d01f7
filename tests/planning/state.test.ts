/** Where something lies that somebody writes down: on the site, or elsewhere. */
import fc from "fast-check";
import { overrideSite, planSite, type SiteSpec, type SiteSpecInput, siteSpec } from "../../planning";
import { backendOnSite, keyOnSite, placesUnknown } from "../../planning/checks/state";
import { describeOnSite, type Machine, onSite, withoutPassword } from "../../planning/places";
import { cleanSite, planWith } from "./sites";

const site = (...overrides: string[]): SiteSpec => siteSpec.parse(overrideSite(cleanSite(), overrides));

const office = site(
  "site.domain=office.internal",
  "guests.mail.hostname=MAIL01",
  'servers.one.bridges.vmbr0={"address":"10.0.9.1/24"}',
  'servers.two.vlans.san={"tag":9,"address6":"fd00:9::2/64"}',
  'storages.elsewhere={"type":"nfs","server":"nas.example.org","export":"/srv","sizeGiB":10,"content":["backup"]}',
);

const laptop: Machine = { hosts: ["laptop-1", "10.0.77.5"], mounts: [] };

const words = (text: string, machine?: Machine): string => {
  const found = onSite(office, text, machine);
  return found === undefined ? "elsewhere" : describeOnSite(found, "office");
};

describe("a place that is written down", () => {
  test.each([
    // Hosts of the site, in every way to write one.
    ["vault", "vault, a server of office"],
    ["VAULT.office.internal", "vault, a server of office"],
    ["root@vault", "vault, a server of office"],
    ["root@10.0.1.3:/root/passphrase", "vault, a server of office"],
    ["git@wiki:office.git", "wiki, a guest of office"],
    ["ssh://git@wiki:2222/office.git", "wiki, a guest of office"],
    ["https://mail01/git/office", "mail, a guest of office"],
    ["https://gateway/state", "gateway, a device of office"],
    ["https://10.0.1.254", "gateway, a device of office"],
    ["fd00:2:0::10", "mail, a guest of office"],
    ["https://[fd00:2::10]/", "mail, a guest of office"],
    ["[fd00:9::2]:/srv/state", "two, a server of office"],
    ["10.0.9.1", "one, a server of office"],
    // Not known by name, but at the site all the same.
    ["https://git.office.internal/office", "git.office.internal, in the domain of office"],
    ["10.0.2.77", "10.0.2.77, an address of office"],
    ["https://[fd00:2::77]", "fd00:2::77, an address of office"],
    // Buckets.
    ["s3://state?endpoint=10.0.1.3:9000", "vault, a server of office"],
    ["s3://state?region=eu&endpoint=https://wiki:9000", "wiki, a guest of office"],
    ["s3://state?endpoint=https%3A%2F%2Fs3.example.org", "elsewhere"],
    ["s3://vault", "elsewhere"],
    ["gs://vault", "elsewhere"],
    ["awskms://alias/office?region=eu-west-3", "elsewhere"],
    // Folders.
    ["file:///mnt/pve/backups/state", "backups, a storage of office"],
    ["/mnt/pve/backups", "backups, a storage of office"],
    ["/mnt/pve/elsewhere/state", "elsewhere"],
    ["file:///mnt/pve/backups-2/state", "elsewhere"],
    ["/etc/pve/priv/passphrase", "/etc/pve, a storage of office"],
    ["file:///srv/dumps/state?no_tmp_dir=true", "dumps, a storage of office"],
    ["file:///srv/dumps-2", "elsewhere"],
    ["file://~/.pulumi", "elsewhere"],
    ["file://./state", "elsewhere"],
    // Elsewhere, and words.
    ["https://api.pulumi.com", "elsewhere"],
    ["git@git.example.org:office.git", "elsewhere"],
    ["office.internal.example.org", "elsewhere"],
    ["192.0.2.7", "elsewhere"],
    ["paper in the safe on the wall", "elsewhere"],
    ["laptop-1:/home/me/office", "elsewhere"],
    ["vaulted", "elsewhere"],
    ["http://", "elsewhere"],
    ["s3://", "elsewhere"],
  ])("%s: %s", (text, expected) => {
    expect(words(text)).toBe(expected);
  });
});

describe("a folder of a known computer", () => {
  test("is where that computer is", () => {
    const here = (host: string): Machine => ({ hosts: [host], mounts: [] });
    expect(words("file://./state", here("one"))).toBe("one, a server of office");
    expect(words("file://~/.pulumi", here("10.0.2.11"))).toBe("wiki, a guest of office");
    expect(words("file:///srv/state", here("laptop-1"))).toBe("elsewhere");
  });

  test("in the site's networks is not taken for the site: a laptop is carried home", () => {
    expect(words("file:///srv/state", { hosts: ["laptop-1", "10.0.2.77"], mounts: [] })).toBe("elsewhere");
  });

  test("is on the host that exports it, the innermost mount first", () => {
    const mounts = [
      { folder: "/", host: "laptop-1" },
      { folder: "/srv/state", host: "10.0.1.3" },
      { folder: "/srv/state/away", host: "nas.example.org" },
    ];
    const machine = { ...laptop, mounts };
    expect(words("file:///srv/state", machine)).toBe("vault, a server of office");
    expect(words("/srv/state/2026", machine)).toBe("vault, a server of office");
    expect(words("/srv/state/away/2026", machine)).toBe("elsewhere");
    expect(words("/srv/statements", machine)).toBe("elsewhere");
  });

  test("of the same name as a server's is not on the server", () => {
    expect(words("/srv/dumps/state", laptop)).toBe("elsewhere");
    expect(words("/mnt/pve/backups/state", laptop)).toBe("backups, a storage of office");
  });
});

test("any text at all is a place or none, and never an error", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.ipV4(),
    fc.ipV6(),
    fc
      .tuple(fc.constantFrom("file://", "s3://", "git@", "https://", "/", "~/"), fc.string())
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const found = onSite(office, text);
      expect(found === undefined || describeOnSite(found, "office").length > 0).toBe(true);
    }),
  );
});

test("each address and name of a server, a guest and a device is found, in each way to write it", () => {
  const names = fc.constantFrom("one", "two", "vault", "mail", "wiki", "gateway");
  const forms = fc.constantFrom(
    (host: string) => host,
    (host: string) => `me@${host}:/srv/state`,
    (host: string) => `https://${host}:8443/state`,
    (host: string) => `s3://bucket?region=eu&endpoint=http://${host}:9000`,
    (host: string) => `ssh://me@${host.toUpperCase()}.office.internal/x`,
  );
  fc.assert(
    fc.property(names, forms, (name, form) => {
      expect(onSite(office, form(name))).toMatchObject({ name });
    }),
  );
});

describe("the section of a site", () => {
  const elsewhere = {
    backend: "https://api.pulumi.com",
    secretsKey: "paper in the safe",
    specification: ["git@git.example.org:office.git"],
  };
  const findings = (state: SiteSpecInput["state"]) => planSite({ ...cleanSite(), ...(state && { state }) }).findings;

  test("is not asked for by the plan", () => {
    expect(findings(undefined)).toEqual([]);
  });

  test("is quiet when everything is elsewhere", () => {
    expect(findings(elsewhere)).toEqual([]);
  });

  test("Pulumi Cloud keeps the key", () => {
    const { secretsKey: _key, ...rest } = elsewhere;
    expect(findings(rest)).toEqual([]);
    expect(findings({ ...rest, backend: "s3://office" }).map(({ code }) => code)).toEqual(["STATE-PLACE-UNKNOWN"]);
  });

  test("one copy elsewhere is enough", () => {
    expect(findings({ ...elsewhere, specification: ["wiki", "git@git.example.org:office.git"] })).toEqual([]);
  });

  test("warnings are no errors: a site can be built with them", () => {
    const plan = planWith(cleanSite(), ['state={"backend":"s3://x?endpoint=https://vault","secretsKey":"mail"}']);
    expect(plan.ok).toBe(true);
    expect(plan.findings.map(({ code, severity }) => [code, severity])).toEqual([
      ["STATE-ON-SITE", "warning"],
      ["STATE-KEY-ON-SITE", "warning"],
      ["STATE-PLACE-UNKNOWN", "info"],
    ]);
  });

  test("no finding shows a password or a passphrase", () => {
    const secret = "hunter2hunter2";
    const all = [
      ...findings({ ...elsewhere, backend: `https://me:${secret}@vault/state` }),
      ...findings({ ...elsewhere, secretsKey: `https://me:${secret}@wiki` }),
      ...findings({ ...elsewhere, specification: [`https://me:${secret}@wiki/office`] }),
      ...backendOnSite(office, `https://me:${secret}@vault/state`),
      ...keyOnSite(office, `https://me:${secret}@vault/state`),
    ];
    expect(all.map(({ code }) => code)).toEqual([
      ...Array(3).fill("SECRET-IN-CLEAR"),
      "STATE-ON-SITE",
      "STATE-KEY-ON-SITE",
    ]);
    expect(JSON.stringify(all)).not.toContain(secret);
    expect(withoutPassword(`https://me:${secret}@vault/state`)).toBe("https://me:…@vault/state");
  });
});

test("a site without the section is asked for the key and the copies, as its stack knows the backend", () => {
  const [finding] = placesUnknown(site());
  expect(finding).toMatchObject({
    code: "STATE-PLACE-UNKNOWN",
    severity: "info",
    message: expect.stringContaining("the key to its secrets or a copy of its specification"),
    fix: expect.stringContaining("state.secretsKey and state.specification"),
  });
});
