"""`popoto-conformance URL [pytest arguments]`."""

from __future__ import annotations

import sys

from popoto.storage.urls import GRAMMAR
from popoto_conformance.runs import run

USAGE = f"""usage: popoto-conformance URL [pytest arguments]

  URL                         {GRAMMAR}
  --conformance-report FILE   write the report as JSON
  --require CAPABILITY        fail unless the backend claims it; may be repeated
  -k, -x, -v ...              as pytest has them
"""


def main() -> int:
    """Run the suite as the command line asks."""
    url, *rest = sys.argv[1:] or [""]
    if not url or url in {"-h", "--help"}:
        print(USAGE, end="", file=sys.stdout if url else sys.stderr)
        return 0 if url else 4
    return run(url, *rest)


if __name__ == "__main__":
    sys.exit(main())
