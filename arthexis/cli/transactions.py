"""``arthexis transactions``: what was charged."""

from __future__ import annotations

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask


@click.group()
def transactions() -> None:
    """Transactions: list, show."""


@transactions.command("list")
@click.option("--station", help="Only of this station.")
@click.option("--id-tag", help="Only on this id tag.")
@click.option("--active/--closed", default=None, help="Only open, or only closed ones.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@show.json_option
def list_(station: str | None, id_tag: str | None, active: bool | None, limit: int, as_json: bool) -> None:
    """List transactions, the latest first."""
    found = ask("transactions.list", station=station, id_tag=id_tag, active=active, limit=limit)
    if as_json:
        show.as_json(found)
        return
    columns = ("id", "station", "connector", "id_tag", "started_at", "stopped_at", "energy_wh", "stop_reason", "flags")
    show.table(found, columns, "No transaction.")


@transactions.command("show")
@click.argument("transaction", type=int)
@show.json_option
def show_(transaction: int, as_json: bool) -> None:
    """Show one transaction with its meter values."""
    found = ask("transactions.show", transaction=transaction)
    if as_json:
        show.as_json(found)
        return
    show.record(found, [name for name in found if name != "meter_values"])
    click.echo()
    rows = [
        {"at": reading["sampled_at_raw"], **sample}
        for reading in found["meter_values"]
        for sample in reading["samples"]
    ]
    columns = ("at", "value", "unit", "phase", "location", "context", "measurand")
    show.table(rows, columns, "No meter value.")
