/** The section `state`: what the site's own program depends on, and where that is kept. */
import { z } from "zod";

const place = z.string().min(1);

export const state = z.strictObject({
  backend: place
    .optional()
    .describe(
      "Where the engine keeps the state, as `pulumi login` takes it: file:///srv/state, s3://bucket?endpoint=https://…, " +
        "https://api.pulumi.com. This describes it; `backend.url` of Pulumi.yaml sets it",
    ),
  secretsKey: place
    .optional()
    .describe(
      "Where the passphrase, or the key, of the state's secrets is kept outside of the site, never the passphrase itself: a " +
        "host, host:/path, an URL, or in words (paper in the safe)",
    ),
  specification: z
    .array(place)
    .optional()
    .describe("Where the copies of this specification lie: git@git.example.org:office.git, laptop-1:/home/me/office"),
});

export type StateSpec = z.output<typeof state>;
