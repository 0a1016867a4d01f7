import { pbsRoutes } from "../../lab/pbs";
import { createValidator } from "../../lab/schema";
import { loadTool } from "./load";

type Paths = Record<string, Record<string, { name: string; parameters: Record<string, Record<string, unknown>> }>>;
const { normalizeClient, normalizePbsTree, parseType, plainPattern } = loadTool<{
  normalizeClient(files: Record<string, string>): Paths;
  normalizePbsTree(tree: object[]): Paths;
  parseType(text: string): object;
  plainPattern(pattern: string): string;
}>("pbs-schema.mjs");

const API = `
class ThingsApi:
    def get_things(
        self,
        store: Annotated[str, Field(min_length=3, strict=True, max_length=32, description="A name, [with] (brackets).")],
        backup_type: Annotated[PbsTypeEnum, Field(description="Type.")],
        ns: Annotated[Optional[Annotated[str, Field(strict=True, max_length=256)]], Field(description="It's one.")] = None,
        _request_timeout: Union[
            None,
        ] = None,
    ) -> GetThingsResponse:
        """Things"""

    def _get_things_serialize(
        self,
        store,
        ns,
    ) -> RequestSerialized:
        if store is not None:
            _path_params['store'] = store
        if backup_type is not None:

            _query_params.append(('backup-type', backup_type.value))

        if ns is not None:

            _query_params.append(('ns', ns))

        return self.api_client.param_serialize(
            method='GET',
            resource_path='/things/{store}',
        )

    def update_things(
        self,
        store: Annotated[str, Field(strict=True, description="Name.")],
        update_things_request: Optional[UpdateThingsRequest] = None,
    ) -> UpdateThingsResponse:
        """Change"""

    def _update_things_serialize(
        self,
    ) -> RequestSerialized:
        if store is not None:
            _path_params['store'] = store
        if update_things_request is not None:
            _body_params = update_things_request

        return self.api_client.param_serialize(
            method='PUT',
            resource_path='/things/{store}',
        )
`;
const MODELS = `
class UpdateThingsRequest(BaseModel):
    """
    UpdateThingsRequest
    """ # noqa: E501

    keep_last: Optional[Annotated[int, Field(strict=True, ge=1)]] = Field(default=None, description="How many, at least.", alias="keep-last")

    comment: Optional[Annotated[str, Field(strict=True, max_length=128)]] = Field(default=None, description="Comment.")

    delete: Optional[List[PbsTypeEnum]] = Field(default=None, description="List of properties to delete.")

    mode: Optional[PbsModeField] = Field(default=None, description="Maintenance mode, either 'offline' or \\"x\\"")

    on: Optional[StrictBool] = Field(default=False, description="On.")

    __properties: ClassVar[List[str]] = ["keep-last", "comment"]

    @field_validator('comment')
    def comment_validate_regular_expression(cls, value):
        """Validates the regular expression"""
        if not re.match(r"^[[:^cntrl:]]*$", value):
            raise ValueError(r"must validate the regular expression /^[[:^cntrl:]]*$/")
        return value
`;
const FILES = {
  "clientapi_pbs/api/things_api.py": API,
  "clientapi_pbs/models/update_things_request.py": MODELS,
  "clientapi_pbs/models/pbs_type_enum.py": "class PbsTypeEnum(str, Enum):\n    VM = 'vm'\n    CT = 'ct'\n",
  "clientapi_pbs/models/pbs_mode_field.py":
    'class PbsModeField(BaseModel):\n    one_of_schemas: Set[str] = { "PbsMode", "str" }\n',
};

test("types are read as trees", () => {
  expect(parseType("Optional[Annotated[str, Field(max_length=5)]]")).toEqual({
    name: "Optional",
    args: [
      {
        name: "Annotated",
        args: [
          { name: "str", args: [] },
          { name: "Field", args: [{ name: "max_length=5", args: [] }] },
        ],
      },
    ],
  });
});

test("query and path parameters come from the signature, with the names of the wire", () => {
  expect(normalizeClient(FILES)["/things/{store}"]?.GET).toEqual({
    name: "get_things",
    additionalProperties: false,
    parameters: {
      store: { type: "string", minLength: 3, maxLength: 32 },
      "backup-type": { type: "string", enum: ["vm", "ct"] },
      ns: { type: "string", maxLength: 256, optional: true },
    },
  });
});

test("parameters of a changing call are the fields of its model", () => {
  expect(normalizeClient(FILES)["/things/{store}"]?.PUT?.parameters).toEqual({
    store: { type: "string" },
    "keep-last": { type: "integer", minimum: 1, optional: true },
    comment: { type: "string", maxLength: 128, optional: true, pattern: "[^\\x00-\\x1f\\x7f]*" },
    delete: { type: "array", items: { type: "string", enum: ["vm", "ct"] }, optional: true },
    mode: { type: "string", optional: true },
    on: { type: "boolean", optional: true },
  });
});

test("the publisher's own tree gives the same form", () => {
  const parameters = {
    type: "object",
    additionalProperties: false,
    properties: {
      store: { type: "string", description: "Name.", pattern: "/^(?:[a-z]+)$/", minLength: 3 },
      format: { type: "string", optional: 1 },
      mode: {
        type: "string",
        optional: 1,
        format: {
          type: "object",
          description: "Mode.",
          default_key: "type",
          properties: {
            type: { type: "string", enum: ["offline", "read-only"] },
            message: { type: "string", optional: 1, pattern: "/^[[:^cntrl:]]*$/" },
          },
        },
      },
    },
  };
  const tree = [{ path: "/things", children: [{ path: "/things/{store}", info: { PUT: { parameters } } }] }];
  expect(normalizePbsTree(tree)["/things/{store}"]?.PUT).toMatchObject({
    additionalProperties: false,
    parameters: {
      store: { type: "string", pattern: "(?:[a-z]+)", minLength: 3 },
      format: { type: "string", optional: true },
      mode: {
        type: "string",
        optional: true,
        format: {
          type: { type: "string", default_key: true, enum: ["offline", "read-only"] },
          message: { type: "string", optional: true, pattern: "[^\\x00-\\x1f\\x7f]*" },
        },
      },
    },
  });
});

test.each([
  ["/^[a-f0-9]{64}$/", "[a-f0-9]{64}"],
  ["^a|b$", "(?:a|b)"],
  ["^(?:[^\\s:/[:cntrl:]]+)$", "(?:[^\\s:/\\x00-\\x1f\\x7f]+)"],
])("the pattern %s is %s", (given, plain) => expect(plainPattern(given)).toBe(plain));

const schemaFile = process.env.COLDSPARE_PBS_SCHEMA;
const withSchema = schemaFile ? describe : describe.skip;
if (!schemaFile)
  process.stdout.write("SKIPPED: checks against the published API schema of PBS; run the setup to fetch it\n");

withSchema("the published schema of Proxmox Backup Server (COLDSPARE_PBS_SCHEMA)", () => {
  test("has every call that the lab answers", () => {
    const schema = createValidator(schemaFile!);
    expect(pbsRoutes.filter(({ method, template }) => !schema.has(method, template))).toEqual([]);
  });

  test("knows the calls that backups need, and refuses what they do not take", () => {
    const schema = createValidator(schemaFile!);
    for (const call of [
      "POST /config/datastore",
      "POST /config/sync",
      "POST /admin/prune/{id}/run",
      "GET /admin/datastore/{store}/snapshots",
      "POST /access/users/{userid}/token/{token-name}",
      "GET /nodes/{node}/tasks/{upid}/log",
    ]) {
      const [method, template] = call.split(" ") as [string, string];
      expect([call, schema.has(method, template)]).toEqual([call, true]);
    }
    const check = (params: Record<string, string>) =>
      schema.validate("POST", "/config/datastore", params, "form").errors;
    expect(check({ name: "archive", path: "/mnt/archive", "keep-last": "3" })).toEqual({});
    expect(Object.keys(check({ name: "a", "keep-last": "0", quota: "5" })).sort()).toEqual([
      "keep-last",
      "name",
      "path",
      "quota",
    ]);
  });
});
