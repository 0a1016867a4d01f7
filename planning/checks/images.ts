/** Images that guests are made from, and the storages that take them. */
import { type Context, own, type Placed, sorted } from "../context";
import { nearest } from "../nearest";
import { imageServers } from "../storage";
import { list } from "../units";
import { checkStorage } from "./placement";

/** Checks that every image exists, is of the right kind and has a storage. */
export function checkImages(context: Context): void {
  for (const guest of context.guests) checkImage(context, guest);
  for (const [name] of sorted(context.spec.images)) checkImageStorage(context, name);
}

function checkImage(context: Context, { name, spec }: Placed): void {
  const path = `guests.${name}.image`;
  if (spec.image === undefined) {
    // One that was there before has its root file system already.
    if (spec.kind === "container" && !spec.adopted)
      context.add(
        "CONTAINER-NO-IMAGE",
        path,
        `${name} is a container and names no image to be made from.`,
        `Set ${path} to an image of kind container-template.`,
      );
    return;
  }
  const image = own(context.spec.images, spec.image);
  const names = Object.keys(context.spec.images).sort();
  const wanted = spec.kind === "vm" ? ["disk-image", "iso"] : ["container-template"];
  if (image === undefined)
    context.add(
      "IMAGE-UNKNOWN",
      path,
      `${name} is made from image '${spec.image}', which does not exist.`,
      names.length === 0
        ? `Add images.${spec.image}.`
        : `Set ${path} to ${nearest(spec.image, names) ?? list(names, "or")}, or add images.${spec.image}.`,
    );
  else if (!wanted.includes(image.kind))
    context.add(
      "IMAGE-KIND",
      path,
      `${name} is made from ${spec.image}, which is of kind ${image.kind} and not ${list(wanted, "or")}.`,
      `Name an image of kind ${list(wanted, "or")} at ${path}.`,
    );
  else if (image.kind === "iso" && spec.kind === "vm") {
    // Each update puts the medium back into the drive, so it stays there until the image is no longer named.
    const local = imageServers(context, spec.image).some(
      (server) => context.storageOn(server, image.storage)?.shared === false,
    );
    if (local)
      context.add(
        "IMAGE-ISO-LOCAL",
        path,
        `${name} has the medium ${spec.image} of local storage ${image.storage} in its drive: Proxmox VE does not migrate it, and so brings it home from no failover, until it is taken out.`,
        `Remove ${path} once the system is installed.`,
      );
  }
}

const IMAGE_CONTENT = { "disk-image": "import", iso: "iso", "container-template": "vztmpl" } as const;

function checkImageStorage(context: Context, name: string): void {
  const image = own(context.spec.images, name);
  if (image === undefined) return;
  for (const server of imageServers(context, name))
    checkStorage(context, {
      server,
      storage: image.storage,
      content: IMAGE_CONTENT[image.kind],
      path: `images.${name}.storage`,
      what: `Image ${name}`,
      side: "primary",
    });
}
