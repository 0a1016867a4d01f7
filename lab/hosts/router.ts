/**
 * nftables rules for the router's namespace: what came over a cable of one host does not leave over a cable of another host
 * that a partition cuts off from it. What the router says itself (ARP) is not marked and passes.
 *
 * @param pairs indexes of the hosts that cannot reach each other
 */
export function cutRules(pairs: [number, number][]): string {
  const marked = [...new Set(pairs.flat())].sort((a, b) => a - b);
  const both = pairs.flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]);
  const lines = [
    ...["table bridge cuts {", "}", "delete table bridge cuts", "table bridge cuts {"],
    ...["chain arrives {", "type filter hook prerouting priority 0;"],
    ...marked.map((index) => `iifname "x${index}-*" meta mark set ${index}`),
    ...["}", "chain leaves {", "type filter hook output priority 0;"],
    ...both.map(([from, to]) => `oifname "x${to}-*" meta mark ${from} drop`),
    ...["}", "}"],
  ];
  return `${lines.join("\n")}\n`;
}
