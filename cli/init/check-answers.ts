/** What the plan says of the answers so far: an answer that leads to an error is refused while it can be changed. */
import { parse } from "yaml";
import type { SitePlan } from "../../planning/plan";
import { planSite } from "../../planning/plan-site";
import type { SiteSpec } from "../../planning/schema";
import { AnswerError, type Answers } from "./answers";
import { siteText } from "./site-text";

/** The plan of a site file's text. */
export function planText(text: string): SitePlan {
  return planSite(parse(text));
}

/** The specification that the answers become. @throws AnswerError with the errors of its plan, and what to change */
export function checkAnswers(answers: Answers): SiteSpec {
  const { spec, findings } = planText(siteText(answers, { timeZone: "UTC" }));
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return spec;
  throw new AnswerError(errors.map(({ message, fix }) => `${message} ${fix}`.replace(/\.$/, "")).join("; "));
}
