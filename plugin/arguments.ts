/** What a program in another language handed over, checked before a component sees it. */
import * as pulumi from "@pulumi/pulumi";
import type { ResourceSpec } from "./package-schema";

/**
 * Generated SDKs check names and types, programs that register a remote component by hand do not.
 *
 * @throws InputPropertiesError with every argument that the component does not have, and every value that the plan needs and
 * that is not known before something else is made
 */
export function checkArguments(component: string, { inputProperties }: ResourceSpec, inputs: pulumi.Inputs): void {
  const errors = Object.entries(inputs).flatMap(([key, value]) => {
    const property = inputProperties[key];
    if (property === undefined) return [{ propertyPath: key, reason: unknownArgument(component, inputProperties) }];
    return property.plain ? outputsIn(value, key).map((propertyPath) => ({ propertyPath, reason: OUTPUT })) : [];
  });
  if (errors.length > 0) throw new pulumi.InputPropertiesError({ message: `${component} cannot be planned`, errors });
}

const OUTPUT =
  "the plan is made before any resource: write the value itself, or read it from the stack's config, not an output";

function unknownArgument(component: string, known: Record<string, unknown>): string {
  return `${component} has no such argument; it has ${Object.keys(known).sort().join(", ")}`;
}

/** Paths at which a value holds an output, itself included. */
function outputsIn(value: unknown, path: string): string[] {
  if (pulumi.Output.isInstance(value)) return [path];
  if (Array.isArray(value)) return value.flatMap((entry, index) => outputsIn(entry, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, entry]) => outputsIn(entry, `${path}.${key}`));
}
