/** What the SMB site costs with the real engine and the lab: state per dynamic resource, time of preview and up. */
import { join } from "node:path";
import { type EngineRun, EngineStack, type StateResource } from "../tests/engine/engine";
import { SiteLab } from "../tests/engine/site-lab";
import { milliseconds, type Row, type Sample, summary } from "./measure";

/** Bytes that a dynamic resource may add to the state. */
const bound = 2560;
const previews = 3;

/** Times of one program: preview and up from nothing, then both with nothing to do. */
interface Times {
  preview: Sample;
  up: Sample;
  previewAgain: Sample;
  upAgain: Sample;
}

/** Starts a lab, brings the site up in it, and beside it a bare program of as many resources. Takes some minutes. */
export async function benchEngine(progress: (line: string) => void): Promise<Row[]> {
  progress("the SMB site in the lab");
  const site = await SiteLab.start();
  try {
    const times = await timesOf(site.stack);
    const { resources } = await site.stack.state();
    progress(`a bare program of ${resources.length} resources`);
    const bare = await bareTimes(resources.length);
    return [...stateRows(resources), ...timeRows(times, bare, resources.length)];
  } finally {
    await site.end();
  }
}

async function bareTimes(count: number): Promise<Times> {
  const stack = new EngineStack({ program: join(__dirname, "bare") });
  try {
    // The stack itself is one of them.
    await stack.init({ "bare:count": count - 1 });
    return await timesOf(stack);
  } finally {
    stack.remove();
  }
}

async function timesOf(stack: EngineStack): Promise<Times> {
  const repeated = async (work: () => Promise<EngineRun>, times: number): Promise<Sample> => {
    const taken: number[] = [];
    for (let run = 0; run < times; run++) taken.push(millisecondsOf(await work()));
    return summary(taken);
  };
  const preview = await repeated(() => stack.preview(), previews);
  // Only the first up builds something, so it is measured once.
  const up = await repeated(() => stack.up(), 1);
  const previewAgain = await repeated(() => stack.preview(), previews);
  const upAgain = await repeated(() => stack.up(), previews);
  return { preview, up, previewAgain, upAgain };
}

function millisecondsOf({ code, log, seconds }: EngineRun): number {
  if (code !== 0) throw new Error(`the engine ended with ${code}:\n${log}`);
  return seconds * 1000;
}

function stateRows(resources: readonly StateResource[]): Row[] {
  const dynamic = resources.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic"));
  const sizes = dynamic.map((resource) => Buffer.byteLength(JSON.stringify(resource)));
  const mean = sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length);
  return [
    {
      what: "state per dynamic resource",
      value: `${mean.toFixed(0)} bytes (at most ${Math.max(0, ...sizes)})`,
      beside: `${dynamic.length} of ${resources.length} resources; bound ${bound} bytes`,
    },
  ];
}

function timeRows(site: Times, bare: Times, count: number): Row[] {
  const row = (what: string, key: keyof Times): Row => ({
    what,
    value: milliseconds(site[key]),
    beside: `bare program of ${count} resources: ${milliseconds(bare[key])}`,
  });
  return [
    row("preview of the SMB site, nothing there", "preview"),
    row("up of the SMB site in the lab", "up"),
    row("preview, nothing to do", "previewAgain"),
    row("up, nothing to do", "upAgain"),
  ];
}
