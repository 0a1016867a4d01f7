/** The components for programs in other languages: what the engine asks of a plugin. */
import type * as pulumi from "@pulumi/pulumi";
import { Container, type ContainerArgs, VirtualMachine, type VirtualMachineArgs } from "../components";
import { checkArguments } from "./arguments";
import { type PackageSchema, packageSchema, token } from "./package-schema";
import { constructSite } from "./site";

/** A component that was made, with the outputs that its schema promises. */
export interface Made {
  component: pulumi.ComponentResource;
  outputs: pulumi.Inputs;
}

type Construct = (
  name: string,
  inputs: pulumi.Inputs,
  options: pulumi.ComponentResourceOptions,
) => Made | Promise<Made>;

const constructors: Readonly<Record<string, Construct>> = {
  [token("Container")]: (name, inputs, options) => guestOf(new Container(name, inputs as ContainerArgs, options)),
  [token("Site")]: constructSite,
  [token("VirtualMachine")]: (name, inputs, options) =>
    guestOf(new VirtualMachine(name, inputs as VirtualMachineArgs, options)),
};

function guestOf(component: Container | VirtualMachine): Made {
  const { guestId, primary, spare, activeSide, activeServer, findings } = component;
  return { component, outputs: { guestId, primary, spare, activeSide, activeServer, findings } };
}

/** Serves the package's schema and makes its components. */
export class ColdspareProvider implements pulumi.provider.Provider {
  readonly schema: string;
  private readonly package: PackageSchema;

  /** @param version the package's, without a leading `v` */
  constructor(readonly version: string) {
    this.package = packageSchema(version);
    this.schema = JSON.stringify(this.package);
  }

  /** @throws PlanError | InputPropertiesError with everything that is wrong, before anything is registered */
  async construct(
    name: string,
    type: string,
    inputs: pulumi.Inputs,
    options: pulumi.ComponentResourceOptions,
  ): Promise<pulumi.provider.ConstructResult> {
    const [construct, resource] = [constructors[type], this.package.resources[type]];
    if (construct === undefined || resource === undefined)
      throw new Error(`there is no ${type}: this package has ${Object.keys(constructors).join(", ")}`);
    checkArguments(type.split(":").at(-1) ?? type, resource, inputs);
    const { component, outputs } = await construct(name, inputs, options);
    return { urn: component.urn, state: outputs };
  }
}
