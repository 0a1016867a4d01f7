import { createValidator, formatCoverage } from "./schema";

/** Checks of a call against the published API schema, before its handler runs. */
export interface Validator {
  /** Errors by parameter; empty when the call may go on. Also notes what the call covered. */
  check(
    method: string,
    template: string,
    params: Record<string, string>,
    contentType: "form" | "json",
  ): Record<string, string>;
  /** The coverage list as text, given what the lab handles as `METHOD /template`. */
  coverage(handled: string[]): string;
}

/** Opens a schema file. */
export function openValidator(schemaFile: string): Validator {
  const schema = createValidator(schemaFile);
  return {
    check(method, template, params, contentType) {
      // A handler for a path that the schema does not know is reported by the coverage list.
      if (!schema.has(method, template)) return {};
      schema.covered(method, template, Object.keys(params));
      return schema.validate(method, template, params, contentType).errors;
    },
    coverage: (handled) => formatCoverage(schema.coverage(handled)),
  };
}
