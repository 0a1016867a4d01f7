/** Findings about where the state is kept, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

const elsewhere = '"backend":"https://api.pulumi.com","specification":["git@git.example.org:office.git"]';

export const stateRows: Row[] = [
  {
    code: "STATE-ON-SITE",
    set: ['state={"backend":"s3://state?endpoint=https://10.0.1.3:9000"}'],
    subject: "state.backend",
    message:
      "The state of office (s3://state?endpoint=https://10.0.1.3:9000) lies on vault, a server of office: what takes the site takes its state.",
  },
  {
    code: "STATE-ON-SITE",
    set: ['state={"backend":"s3://state?endpoint=mail:9000"}'],
    subject: "state.backend",
    message:
      "The state of office (s3://state?endpoint=mail:9000) lies on mail, a guest of office: what takes the site takes its state.",
  },
  {
    code: "STATE-ON-SITE",
    set: ['state={"backend":"file:///mnt/pve/backups/state"}'],
    subject: "state.backend",
    message:
      "The state of office (file:///mnt/pve/backups/state) lies on backups, a storage of office: what takes the site takes its state.",
  },
  {
    code: "STATE-KEY-ON-SITE",
    set: [`state={${elsewhere},"secretsKey":"https://10.0.2.11/passwords"}`],
    subject: "state.secretsKey",
    message:
      "The key to the secrets of office is kept on wiki, a guest of office: without it nobody opens them, nor the state.",
  },
  {
    code: "SPECIFICATION-ON-SITE",
    set: ['state={"backend":"https://api.pulumi.com","specification":["git@wiki:office.git","vault:/root/office"]}'],
    subject: "state.specification",
    message:
      "The specification of office lies nowhere but on wiki, a guest of office and vault, a server of office: what takes the site takes the plan to build it again.",
  },
  {
    code: "STATE-PLACE-UNKNOWN",
    set: ['state={"backend":"s3://office-state"}'],
    subject: "state",
    message:
      "office does not say where the key to its secrets or a copy of its specification is kept: nothing says whether that would be lost with the site.",
  },
  {
    code: "STATE-PLACE-UNKNOWN",
    set: ['state={"secretsKey":"paper in the safe","specification":["git@git.example.org:office.git"]}'],
    subject: "state",
    message: "office does not say where its state is kept: nothing says whether that would be lost with the site.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: [`state={${elsewhere},"secretsKey":"Xk29sLqP0vTnW7zR3mB8"}`],
    subject: "state.secretsKey",
    message: "state.secretsKey contains what looks like a secret itself; the specification only says where it is kept.",
  },
  {
    code: "SECRET-IN-CLEAR",
    set: ['state={"backend":"https://me:hunter2@state.example.org"}'],
    subject: "state.backend",
    message: "state.backend contains what looks like a secret itself; the specification only says where it is kept.",
  },
];
