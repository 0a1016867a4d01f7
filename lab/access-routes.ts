import { login } from "./authentication";
import { type Route, route } from "./call";

export const accessRoutes: Route[] = [
  route("POST", "/access/ticket", undefined, (call) => login(call.world, call.domain, call.params)),
];
