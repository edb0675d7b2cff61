# The habits of this project; `just` lists them.

default:
    @just --list

# Run a Terminal node.
serve *options:
    ./start.sh {{options}}

# Every check and test.
test *options:
    ./test.sh {{options}}

# Only the checks.
lint:
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# Mend what can be mended by a tool.
fix:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# Write the generated parts of the docs anew.
docs:
    .venv/bin/python docs/generate.py

# Write a new plugin: just new-plugin acme --into ~/plugins
new-plugin *options:
    .venv/bin/arthexis plugins new {{options}}

# Measure against the rivals.
bench *options:
    .venv/bin/python -m benchmarks.run {{options}}

# Try what needs real hardware in a machine of its own (QEMU; Debian, apt, root): just hardware-vm lcd
hardware-vm *stories:
    .venv/bin/python -m tests.hardware_vm {{stories}}

# Build the documentation as a site in build/site.
site:
    .venv/bin/python -m sphinx -W --keep-going -q -b html -c docs . build/site
