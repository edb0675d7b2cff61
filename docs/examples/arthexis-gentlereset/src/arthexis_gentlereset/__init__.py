"""Offer Reset, but only the kind that lets cars finish."""

from arthexis import DomainError, Operation, hookimpl


def gentle(request):
    if request.type == "Hard":
        raise DomainError("a hard reset breaks off sessions here", place="Reset", cure="Send it with --type Soft")


@hookimpl
def register_operations():
    yield Operation(
        "Reset",
        "Restart the station once its sessions have ended",
        help={"type": "Soft; Hard is refused"},
        dangerous=True,
        check=gentle,
    )
