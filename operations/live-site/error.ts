/** A running site cannot be read; the message says what to do. */
export class LiveSiteError extends Error {
  override readonly name = "LiveSiteError";

  constructor(
    /**
     * - `no-access`: the token, the certificate or the address is not accepted
     * - `privilege`: the token may not see what is needed
     * - `not-proxmox`: something else answers there
     * - `too-old`: a version that is not supported
     * - `changing`: guests moved, came or went each time they were read
     * - `unreachable`: nobody answers
     */
    readonly kind: "no-access" | "privilege" | "not-proxmox" | "too-old" | "changing" | "unreachable",
    message: string,
  ) {
    super(message);
  }
}
