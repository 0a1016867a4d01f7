import type { Validator as LabValidator } from "../validation";
import { createValidator, formatCoverage } from "./index";

/**
 * The published schema as the lab's server asks it: errors only, every call counted, the coverage as a table.
 *
 * @param schemaFile - path of the JSON file
 * @throws Error when the file cannot be read or is of another format version
 */
export function labValidator(schemaFile: string): LabValidator {
  const validator = createValidator(schemaFile);
  return {
    check(method, template, params, contentType) {
      // A handler for a path that the schema does not know is reported by the coverage list.
      if (!validator.has(method, template)) return {};
      validator.covered(method, template, Object.keys(params));
      return validator.validate(method, template, params, contentType).errors;
    },
    coverage: (handled) => formatCoverage(validator.coverage(handled)),
  };
}
