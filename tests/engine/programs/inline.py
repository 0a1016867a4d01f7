"""Runs the Python program of a folder inside this process, so that the engine needs no language host for it.

Usage: inline.py preview|up FOLDER STACK; prints one JSON object: the outputs of an `up`, or what a preview would change.
"""

import json
import os
import runpy
import sys

from pulumi import automation

command, folder, stack_name = sys.argv[1:]
# The program and the plugin count paths from the project's folder.
os.chdir(folder)
stack = automation.select_stack(
    stack_name,
    project_name="python",
    program=lambda: runpy.run_path("__main__.py", run_name="__main__"),
    opts=automation.LocalWorkspaceOptions(work_dir=folder),
)
say = lambda text: print(text, file=sys.stderr)
if command == "preview":
    changes = stack.preview(on_output=say).change_summary
    print(json.dumps(changes))
else:
    result = stack.up(on_output=say)
    print(json.dumps({name: output.value for name, output in result.outputs.items()}))
