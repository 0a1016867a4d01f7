import fc from "fast-check";
import { overrideSite, parseSite, planSite, type SiteSpecInput } from "../../planning";
import { randomSite } from "./random-sites";
import { cleanSite, smbSite } from "./sites";

const runs = { numRuns: 40 };

/** The same value with the keys of every object in another order; lists keep theirs. */
function shuffled(value: unknown, random: () => number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, random));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => ({ key, inner: shuffled(inner, random), at: random() }));
  return Object.fromEntries(entries.sort((a, b) => a.at - b.at).map(({ key, inner }) => [key, inner]));
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state;
  };
}

test("the order of keys never shows in a plan, not even in its text", () => {
  const sites = fc.oneof(
    randomSite.map(({ spec, options }) => ({ spec, options })),
    fc.constantFrom({ spec: smbSite(), options: {} }, { spec: cleanSite(), options: {} }),
  );
  fc.assert(
    fc.property(sites, fc.nat(), ({ spec, options }, seed) => {
      const { spec: _spec, servers, guests, ...plan } = planSite(spec, options);
      const { spec: _other, ...other } = planSite(shuffled(spec, generator(seed)) as SiteSpecInput, options);
      const { servers: otherServers, guests: otherGuests, ...rest } = other;
      expect(JSON.stringify(rest)).toBe(JSON.stringify(plan));
      expect([otherServers, otherGuests]).toEqual([servers, guests]);
    }),
    runs,
  );
});

test("what fits has no more memory and cores than the server gives", () => {
  fc.assert(
    fc.property(randomSite, ({ spec, options }) => {
      const plan = planSite(spec, options);
      for (const { capacity, spec: server } of Object.values(plan.servers))
        for (const usage of [capacity.before, ...Object.values(capacity.afterLossOf)])
          if (usage.fits) {
            const memory = usage.guests.reduce((total, name) => total + plan.guests[name]!.spec.memoryGiB, 0);
            expect(memory).toBeLessThanOrEqual(server.memoryGiB);
            for (const name of usage.guests) expect(plan.guests[name]!.spec.cores).toBeLessThanOrEqual(server.cores);
          }
    }),
    runs,
  );
});

test("a larger guest never needs less room, and never makes a loss survivable", () => {
  fc.assert(
    fc.property(randomSite, fc.nat(5), fc.integer({ min: 1, max: 20 }), ({ spec, options }, pick, more) => {
      const names = Object.keys(spec.guests ?? {});
      const name = names[pick % Math.max(1, names.length)];
      if (name === undefined) return;
      const guest = spec.guests![name]!;
      const larger = overrideSite(spec, [
        `guests.${name}.memoryGiB=${guest.memoryGiB + more}`,
        `guests.${name}.disks[0].sizeGiB=${guest.disks[0]!.sizeGiB + more}`,
        "policies.allowShedding=false",
      ]) as SiteSpecInput;
      const small = planSite(overrideSite(spec, ["policies.allowShedding=false"]) as SiteSpecInput, options);
      const large = planSite(larger, options);
      for (const [index, pool] of small.storages.entries())
        expect(large.storages[index]!.totalGiB).toBeGreaterThanOrEqual(pool.totalGiB);
      for (const [server, loss] of Object.entries(large.losses))
        if (loss.survives) expect(small.losses[server]!.survives).toBe(true);
    }),
    runs,
  );
});

test("a guest that moves never takes less time than the one that starts before it was confirmed", () => {
  fc.assert(
    fc.property(randomSite, ({ spec, options }) => {
      const plan = planSite(spec, options);
      for (const { restarts } of Object.values(plan.losses))
        for (const { guest, recoveryTimeSeconds } of restarts) {
          const { boot } = plan.guests[guest]!.spec;
          expect(recoveryTimeSeconds).toBeGreaterThan(plan.spec.policies.confirmSeconds + boot.seconds);
        }
    }),
    runs,
  );
});

test("guest ids and MAC addresses stay when other guests come and go", () => {
  fc.assert(
    fc.property(randomSite, fc.nat(5), ({ spec, options }, pick) => {
      const names = Object.keys(spec.guests ?? {});
      const gone = names[pick % Math.max(1, names.length)];
      if (gone === undefined) return;
      const before = planSite(spec, options);
      const after = planSite(overrideSite(spec, [`guests.${gone}=null`]) as SiteSpecInput, options);
      for (const [name, guest] of Object.entries(after.guests)) {
        expect(guest.id).toBe(before.guests[name]!.id);
        expect(guest.replica?.standbyIds).toEqual(before.guests[name]!.replica?.standbyIds);
      }
    }),
    runs,
  );
});

describe("nothing that can be read makes the planner throw", () => {
  test("anything at all", () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withDate: true, withMap: true }), (value) => {
        const { ok } = planSite(value as SiteSpecInput);
        expect(ok).toBe(false);
        expect(parseSite(value).findings.length).toBeGreaterThan(0);
      }),
      { numRuns: 200 },
    );
  });

  test.each(['guests.remote-app.on="constructor"', "guests.files-1.disks[0].usedGiB=1000000000000"])("%s", (change) => {
    expect(planSite(overrideSite(smbSite(), [change]) as SiteSpecInput).ok).toBe(false);
  });

  test("a real site with anything anywhere", () => {
    const paths = pathsOf(smbSite());
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom("", "10.0.0.1/40", "::", "x", 1e12, -1, "srv1", "tank", "constructor"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...paths), value), { minLength: 1, maxLength: 4 }), (changes) => {
        let spec: unknown = smbSite();
        for (const [path, change] of changes) {
          try {
            spec = overrideSite(spec, [`${path}=${JSON.stringify(change)}`]);
          } catch {
            // An earlier change took the path away.
          }
        }
        const plan = planSite(spec as SiteSpecInput);
        for (const { subject, message, fix } of plan.findings)
          expect([subject, message, fix].every((text) => text.length > 0)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });
});

/** Every path of a value, as `--set` writes it. */
function pathsOf(value: unknown, prefix = ""): string[] {
  if (typeof value !== "object" || value === null) return [prefix];
  const inner = Object.entries(value).flatMap(([key, item]) =>
    pathsOf(item, Array.isArray(value) ? `${prefix}[${key}]` : prefix === "" ? key : `${prefix}.${key}`),
  );
  return prefix === "" ? inner : [prefix, ...inner];
}
