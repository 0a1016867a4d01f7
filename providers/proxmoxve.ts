/**
 * The provider package that the components are made of, exactly as they use it: for a provider of one's own, and for the types in
 * `transform`. npm knows it under another name (`@muhlba91/pulumi-proxmoxve`), and not every package manager lets a
 * program import what only its dependencies name.
 */
export * from "@pulumi/proxmoxve";
