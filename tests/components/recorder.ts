/** Records what components register, in place of an engine. It proves inputs, URNs and counts, never behaviour. */
import * as pulumi from "@pulumi/pulumi";

/** One registered resource. */
export interface Registered {
  type: string;
  name: string;
  custom: boolean;
  inputs: Record<string, unknown>;
}

/** Everything registered since `record` was called. */
export class Recorder implements pulumi.runtime.Mocks {
  readonly resources: Registered[] = [];
  readonly calls: string[] = [];
  /** What the engine's log was given, first lines only: it is not printed, so a test that expects any must look here. */
  readonly warnings: string[] = [];

  newResource(args: pulumi.runtime.MockResourceArgs): { id: string; state: Record<string, unknown> } {
    const { __provider: _, ...inputs } = args.inputs as Record<string, unknown>;
    this.resources.push({
      type: args.type,
      name: args.name,
      custom: args.custom ?? false,
      inputs,
    });
    return { id: `${args.name}-id`, state: inputs };
  }

  call(args: pulumi.runtime.MockCallArgs): Record<string, unknown> {
    this.calls.push(args.token);
    return {};
  }

  /** Names with types, without the order in which they came. */
  identities(): string[] {
    return this.resources.map(({ type, name }) => `${type}::${name}`).sort();
  }

  one(name: string): Registered {
    const found = this.resources.filter((resource) => resource.name === name);
    if (found.length !== 1 || !found[0]) throw new Error(`${found.length} resources are called ${name}`);
    return found[0];
  }

  ofType(type: string): Registered[] {
    return this.resources.filter((resource) => resource.type === type);
  }
}

/** Runs `program` under mocks and waits until everything it registered is there. */
export async function record<T>(program: () => T, preview = false): Promise<{ result: T; recorder: Recorder }> {
  const recorder = new Recorder();
  await pulumi.runtime.setMocks(recorder, "coldspare", "test", preview);
  const warn = jest.spyOn(pulumi.log, "warn").mockImplementation(async (text) => {
    recorder.warnings.push(text.split("\n", 1)[0] ?? "");
  });
  try {
    const result = program();
    // Registrations are asynchronous: this waits for all of them.
    await pulumi.runtime.disconnect();
    return { result, recorder };
  } finally {
    warn.mockRestore();
  }
}

/** The value of an output under mocks. */
export function value<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply((plain) => resolve(plain as T)));
}
