/** Texts that several sections of a specification share: names, storage ids, durations. */
import { z } from "zod";

export const name = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "must be a host name: lower-case letters, digits and inner dashes, 1-63 characters",
  );
/** Proxmox VE takes a server's host name as its node name, capital letters included. */
export const serverName = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
    "must be a host name: letters, digits and inner dashes, 1-63 characters",
  );
export const storageId = z.string().regex(/^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$/, "must be a Proxmox storage id");
export const gib = z.number().positive();
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(s|m|h|d|w)$/, "must be a number with a unit: 90s, 15m, 4h, 1d or 2w");
/** Name of a secret: part of the name of an environment variable, COLDSPARE_SECRET_<NAME>. */
export const secretName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be the name of a secret: letters, digits, dashes, dots and underscores");
