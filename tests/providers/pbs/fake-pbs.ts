/**
 * A backup server's configuration in memory, behind HTTPS: the shapes of its answers as its documentation and sources give
 * them (errors are plain text, datastores are made by tasks, flags are booleans). It keeps what it is told and checks little:
 * whether the real API takes the calls is for the lab and the published schema to say.
 */
import { PbsClient } from "../../../providers/pbs/client";
import type { PbsContext } from "../../../providers/serve";
import { type Fake, type FakeAnswer, type FakeRequest, startFake } from "../fake-server";

type Row = Record<string, unknown>;

const KEYS: Record<string, string> = {
  "/config/datastore": "name",
  "/config/prune": "id",
  "/config/verify": "id",
  "/config/sync": "id",
  "/config/remote": "name",
  "/config/traffic-control": "name",
  "/access/users": "userid",
};
const NOUNS: Record<string, string> = { "/config/datastore": "datastore", "/config/remote": "remote" };

export const SECRET = "0d6ef4a0-41b8-4d1c-9b1f-7a2f1f0a3c55";

export class FakePbs {
  /** Entries by path and name. */
  readonly sections = new Map<string, Map<string, Row>>(Object.keys(KEYS).map((path) => [path, new Map()]));
  readonly tokens = new Map<string, Row>();
  readonly acl: Row[] = [];
  readonly namespaces = new Map<string, Set<string>>();
  readonly groups = new Map<string, Row[]>();
  /** What to answer before anything else, by method and path. */
  readonly says = new Map<string, FakeAnswer>();
  readonly progress: string[] = [];
  readonly secrets = new Map<string, string>();
  private secretsMade = 0;
  private fake!: Fake;
  private client!: PbsClient;

  static async start(): Promise<FakePbs> {
    const pbs = new FakePbs();
    pbs.fake = await startFake((request) => pbs.answer(request));
    const { url, fingerprint } = pbs.fake;
    const token = `admin@pbs!coldspare:${SECRET}`;
    pbs.client = new PbsClient({ server: "office", endpoint: url, token, fingerprint, pollSeconds: 0.01 });
    return pbs;
  }

  get url(): string {
    return this.fake.url;
  }

  get fingerprint(): string {
    return this.fake.fingerprint;
  }

  get context(): PbsContext {
    return {
      pbs: () => this.client,
      secret: (name) => this.secrets.get(name) ?? "",
      progress: (line) => void this.progress.push(line),
    };
  }

  /** Calls that changed something, since the last look. */
  changes(): string[] {
    const made = this.fake.requests.filter(({ method }) => method !== "GET");
    const lines = made.map(({ method, path, body, query }) => {
      const words = method === "DELETE" ? new URLSearchParams(query).toString() : body;
      return `${method} ${path}${words === "" ? "" : ` ${decodeURIComponent(words)}`}`;
    });
    this.fake.requests.length = 0;
    return lines;
  }

  async end(): Promise<void> {
    this.client.close();
    await this.fake.close();
  }

  private answer(request: FakeRequest): FakeAnswer {
    const said = this.says.get(`${request.method} ${request.path}`);
    if (said !== undefined) return said;
    const { path } = request;
    if (path.startsWith("/nodes/localhost/tasks/")) return this.task(path);
    if (path === "/access/acl") return this.rights(request);
    const token = path.match(/^\/access\/users\/([^/]+)\/token\/([^/]+)$/);
    if (token) return this.token(request, `${decodeURIComponent(token[1]!)}!${token[2]}`);
    const admin = path.match(/^\/admin\/datastore\/([^/]+)\/(namespace|groups)$/);
    if (admin) return this.content(request, admin[1]!, admin[2]!);
    const section = Object.keys(KEYS).find((each) => path === each || path.startsWith(`${each}/`));
    return section === undefined ? refused(404, `Path '${path}' not found.`) : this.section(request, section);
  }

  private section({ method, path, body, query }: FakeRequest, section: string): FakeAnswer {
    const rows = this.sections.get(section)!;
    const form = rowOf(body);
    if (path === section) {
      if (method === "GET") return { data: [...rows.values()].map((row) => this.withTokens(section, row, query)) };
      const name = String(form[KEYS[section]!]);
      if (rows.has(name)) return refused(400, `${name} already exists.`);
      delete form["reuse-datastore"];
      rows.set(name, form);
      if (section === "/config/datastore") this.namespaces.set(name, new Set([""]));
      return section === "/config/datastore" ? { data: "UPID:pbs:0001:create" } : {};
    }
    const name = decodeURIComponent(path.slice(section.length + 1));
    const row = rows.get(name);
    if (row === undefined) return refused(400, `no such ${NOUNS[section] ?? "entry"} '${name}'`);
    if (method === "GET") return { data: withoutPassword(row) };
    if (method === "DELETE") {
      rows.delete(name);
      return section === "/config/datastore" ? { data: "UPID:pbs:0001:delete" } : {};
    }
    for (const key of [form.delete ?? []].flat() as string[]) delete row[key];
    delete form.delete;
    Object.assign(row, form);
    return {};
  }

  private withTokens(section: string, row: Row, query: Record<string, string>): Row {
    if (section !== "/access/users" || query.include_tokens !== "1") return row;
    const tokens = [...this.tokens.keys()].filter((id) => id.startsWith(`${row.userid}!`));
    return { ...row, tokens: tokens.map((tokenid) => ({ tokenid })) };
  }

  private task(path: string): FakeAnswer {
    return path.endsWith("/log")
      ? { data: [{ n: 1, t: "TASK OK" }] }
      : { data: { status: "stopped", exitstatus: "OK" } };
  }

  private rights({ method, body, query }: FakeRequest): FakeAnswer {
    if (method === "GET") return { data: this.acl.filter((row) => row.path === query.path) };
    const form = rowOf(body);
    const row = { path: form.path, ugid: form["auth-id"], roleid: form.role, propagate: form.propagate ?? true };
    const index = this.acl.findIndex(
      (each) => each.path === row.path && each.ugid === row.ugid && each.roleid === row.roleid,
    );
    if (index >= 0) this.acl.splice(index, 1);
    if (form.delete !== true) this.acl.push({ ...row, ugid_type: "user" });
    return {};
  }

  private token({ method, body }: FakeRequest, id: string): FakeAnswer {
    const row = this.tokens.get(id);
    const value = () => `secret-${++this.secretsMade}`;
    if (method === "POST") {
      if (row !== undefined) return refused(400, `token '${id}' already exists.`);
      this.tokens.set(id, { tokenid: id, ...rowOf(body) });
      return { data: { tokenid: id, value: value() } };
    }
    if (row === undefined) return refused(404, `token '${id}' does not exist.`);
    if (method === "GET") return { data: row };
    if (method === "DELETE") {
      this.tokens.delete(id);
      return {};
    }
    const { regenerate, ...settings } = rowOf(body);
    Object.assign(row, settings);
    return regenerate ? { data: { secret: value() } } : {};
  }

  private content({ method, body, query }: FakeRequest, store: string, what: string): FakeAnswer {
    const known = this.namespaces.get(store);
    if (known === undefined) return refused(404, `no such datastore '${store}'`);
    if (what === "groups") return { data: this.groups.get(`${store}/${query.ns}`) ?? [] };
    if (method === "GET") return { data: [...known].map((ns) => ({ ns })) };
    if (method === "DELETE") {
      known.delete(query.ns!);
      return {};
    }
    const { name, parent } = rowOf(body);
    if (parent !== undefined && !known.has(String(parent)))
      return refused(400, `parent namespace ${parent} does not exist`);
    known.add(parent === undefined ? String(name) : `${parent}/${name}`);
    return { data: name };
  }
}

function refused(status: number, text: string): FakeAnswer {
  return { status, reason: "Error", body: text };
}

function withoutPassword({ password: _, ...row }: Row): Row {
  return row;
}

/** Typed as the server's schema has them: flags and numbers are no texts. */
const FLAGS =
  /^(verify-new|gc-on-unmount|reuse-datastore|disable|ignore-verified|remove-vanished|resync-corrupt|encrypted-only|verified-only|run-on-mount|unmount-on-done|enable|regenerate|propagate|delete)$/;
const NUMBERS = /^(keep-\w+|max-depth|outdated-after|transfer-last|port|expire)$/;
const LISTS = /^(delete|network|users|timeframe|group-filter)$/;

function rowOf(body: string): Row {
  const row: Row = {};
  const form = new URLSearchParams(body);
  for (const key of new Set(form.keys())) {
    const values = form.getAll(key);
    const first = values[0]!;
    const isFlag = FLAGS.test(key) && (key !== "delete" || /^[01]$/.test(first));
    if (isFlag) row[key] = first === "1";
    else if (LISTS.test(key)) row[key] = values;
    else row[key] = NUMBERS.test(key) ? Number(first) : first;
  }
  return row;
}
