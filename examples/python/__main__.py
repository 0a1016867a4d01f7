"""A whole site out of site.yaml, beside a program of one's own.

`pulumi package add ./node_modules/coldspare/dist/plugin` generates classes with types and completion. This program does
without: a remote component is a name, its arguments and the outputs that it will have.
"""

import pulumi


class Site(pulumi.ComponentResource):
    guests: pulumi.Output[dict]
    manifest: pulumi.Output[dict]

    def __init__(self, name: str, site_file: str, opts: pulumi.ResourceOptions | None = None):
        properties = {"siteFile": site_file, "guests": None, "manifest": None}
        super().__init__("coldspare:index:Site", name, properties, opts, remote=True)


site = Site("branch", "site.yaml")

pulumi.export("guests", site.guests)
# What `coldspare failover` and the other commands read.
pulumi.export("manifest", site.manifest)
