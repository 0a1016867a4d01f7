/**
 * One property of PVE's API schema, as `PVE::JSONSchema` reads it; a nested `format` describes a property string
 * (`model=virtio,bridge=vmbr0`).
 */
export interface PropertySchema {
  type?: string;
  optional?: number | boolean;
  format?: string | Record<string, PropertySchema>;
  pattern?: string;
  enum?: (string | number)[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: PropertySchema;
  properties?: Record<string, PropertySchema>;
  additionalProperties?: number | boolean;
  /** Another parameter that must be given with this one. */
  requires?: string;
  oneOf?: PropertySchema[];
  default?: unknown;
  /** In a property string: the key whose name may be left out. */
  default_key?: number | boolean;
  /** In a property string: this key is another name of that one. */
  alias?: string;
  /** In a property string: an alias that also sets this key to its own name (`virtio=MAC` sets `model`). */
  keyAlias?: string;
  /** Highest index of a numbered family (`net[n]`), where the publisher's code says it. */
  indexMax?: number;
}

/** Who may call a method, as the published schema says it: `{ user: "all" }` or `{ check: ["perm", path, [privileges]] }`. */
export interface PermissionSchema {
  user?: string;
  check?: unknown;
}

/** One method of one path. */
export interface MethodSchema {
  name?: string;
  parameters?: Record<string, PropertySchema>;
  /** `false`: a parameter that is not named above is refused. */
  additionalProperties?: unknown;
  permissions?: PermissionSchema;
  returns?: unknown;
}

/** The schema file: path templates (`/nodes/{node}/qemu/{vmid}/config`) to methods (`GET`, `PUT`, …). */
export interface SchemaFile {
  formatVersion: number;
  /** Version of PVE that the schema describes, e.g. `9.2`. */
  version: string;
  /** Where it was had from. */
  source: string;
  paths: Record<string, Record<string, MethodSchema>>;
}

/** Parameter path to message, in PVE's own words. */
export type ParameterErrors = Record<string, string>;

/** How the parameters arrived: a form (and every query string) holds text only, a JSON body has types. */
export type ContentType = "form" | "json";
