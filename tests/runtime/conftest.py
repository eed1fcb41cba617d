"""What can only be imported where LLVM is installed, which is on Linux with x86-64."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("llvmlite") else ["test_tile_attention.py"]
