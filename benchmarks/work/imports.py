"""What imports cost: CPU milliseconds beyond those of an interpreter that imports nothing. Prints them as JSON.

    imports.py [INTERPRETERS]

Each program runs in so many fresh interpreters, in turn with the others, and its figure is the median. One run before
that leaves the bytecode on the disk.
"""

import json
import resource
import statistics
import subprocess
import sys

NOTHING = "pass"
PROGRAMS = {
    "import uamqp": "import uamqp",
    "import uamqp.codec": "import uamqp.codec",
    "import uamqp.engine": "import uamqp.engine",
    "uamqp.Message": "import uamqp; uamqp.Message",
    "uamqp.SendClient": "import uamqp; uamqp.SendClient",
    "uamqp.SendClientAsync": "import uamqp; uamqp.SendClientAsync",
    "from uamqp import *": "from uamqp import *",
}


def cpu(program):
    """Milliseconds of CPU that an interpreter takes for a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
figures = {name: [] for name in PROGRAMS}
for program in PROGRAMS.values():
    cpu(program)
for _ in range(rounds):
    for name, program in PROGRAMS.items():
        figures[name].append(cpu(program) - cpu(NOTHING))
print(json.dumps({name: statistics.median(values) for name, values in figures.items()}))
