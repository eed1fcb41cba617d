"""Start the studio's server, or one of its commands; ``python webui.py --help`` lists them."""

import sys

from modules.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
