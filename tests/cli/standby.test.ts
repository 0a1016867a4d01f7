import * as pulumi from "@pulumi/pulumi";
import { standbySpecOf } from "../../cli/standby";
import { Site } from "../../components";
import { planSite, type SiteSpec, type SiteSpecInput } from "../../planning";
import { loadLayout } from "../../stacks/layouts";
import { record } from "../components/recorder";

describe("what a refresh is told", () => {
  const plan = planSite(loadLayout("smb-site") as SiteSpec);

  test("is what the stack tells its standby resource: either may refresh what the other made", async () => {
    const secrets = { "docker-1-password": pulumi.secret("x") };
    const { recorder } = await record(
      () => new Site("smb", { site: loadLayout("smb-site") as SiteSpecInput, secrets }),
    );
    expect(standbySpecOf(plan.guests["remote-app"]!)).toEqual(recorder.one("remote-app-standby").inputs);
  });

  test("a guest that is replicated otherwise needs none", () => {
    expect(standbySpecOf(plan.guests["sql-erp"]!)).toBeUndefined();
  });
});
