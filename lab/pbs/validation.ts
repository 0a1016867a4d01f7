import { createValidator } from "../schema";

/** Checks of a call against PBS's published API schema, in PBS's words. */
export interface PbsValidator {
  /** @returns the parameters with booleans as 0 and 1, and what is wrong by parameter */
  check(
    method: string,
    template: string,
    params: Record<string, string>,
    contentType: "form" | "json",
  ): { params: Record<string, string>; errors: Record<string, string> };
}

const TRUE = /^(1|on|yes|true)$/i;
const FALSE = /^(0|off|no|false)$/i;

/** PBS says the same as PVE in other words. */
function inPbsWords(message: string): string {
  if (message.startsWith("property is missing")) return "parameter is missing and it is not optional.";
  if (message.startsWith("property is not defined")) return "schema does not allow additional properties.";
  const value = /^value '(.*)' does not have a value in the enumeration/s.exec(message)?.[1];
  return value === undefined ? message.trimEnd() : `value '${value}' is not defined in the enumeration.`;
}

/** Opens a schema file. */
export function openPbsValidator(schemaFile: string): PbsValidator {
  const schema = createValidator(schemaFile);
  return {
    check(method, template, given, contentType) {
      const params = { ...given };
      if (!schema.has(method, template)) return { params, errors: {} };
      const first = schema.validate(method, template, params, contentType).errors;
      for (const [name, message] of Object.entries(first)) {
        const value = params[name] ?? "";
        // Words for booleans, which PVE's parameters do not take.
        if (message.startsWith("type check ('boolean')") && (TRUE.test(value) || FALSE.test(value)))
          params[name] = TRUE.test(value) ? "1" : "0";
      }
      schema.covered(method, template, Object.keys(params));
      const errors = schema.validate(method, template, params, contentType).errors;
      return {
        params,
        errors: Object.fromEntries(Object.entries(errors).map(([name, text]) => [name, inPbsWords(text)])),
      };
    },
  };
}
