// What engine and language host cost by themselves: components without inputs, children and plugins.
const pulumi = require("@pulumi/pulumi");

const count = new pulumi.Config("bare").requireNumber("count");
for (let number = 0; number < count; number++) new pulumi.ComponentResource("bench:index:Bare", `bare-${number}`);
